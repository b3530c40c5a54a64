-- Stored events of a stream after a place in its order by time, for validating them again.
-- Parameters: stream_id bigint, after_at timestamptz, after_id text, until timestamptz (exclusive,
-- of the event's time), seen_by timestamptz (exclusive, of receipt), test_producers bigint[],
-- batch int, alive_since timestamptz (of the event's time).
-- A row: occurred_at, event_id, producer_id, version, data (JSON text or null), extra (JSON text or
-- null), bytes (base64 text of data that is not JSON, or null).
-- Index: the identity index of the partitions (stream, time, id).
SELECT occurred_at, event_id, producer_id, version, data::text AS data, extra::text AS extra,
       encode(data_base64, 'base64') AS bytes
FROM ingest_event
WHERE stream_id = %(stream_id)s
  AND occurred_at >= %(after_at)s
  AND occurred_at >= %(alive_since)s
  AND (occurred_at, event_id) > (%(after_at)s, %(after_id)s)
  AND occurred_at < %(until)s
  AND received_at < %(seen_by)s
  AND producer_id <> ALL (%(test_producers)s::bigint[])
ORDER BY occurred_at, event_id
LIMIT %(batch)s
