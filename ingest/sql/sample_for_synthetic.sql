-- The newest stored events of a stream, for learning how its values are distributed.
-- Parameters: stream_id bigint, alive_since timestamptz (of the event's time), test_producers bigint[],
-- batch int.
-- A row: subject (text or null), data (JSON text or null).
-- Index: the identity index of the partitions (stream, time, id), newest first.
SELECT subject, data::text AS data
FROM ingest_event
WHERE stream_id = %(stream_id)s
  AND occurred_at >= %(alive_since)s
  AND producer_id <> ALL (%(test_producers)s::bigint[])
ORDER BY occurred_at DESC, event_id DESC
LIMIT %(batch)s
