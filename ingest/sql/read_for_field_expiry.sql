-- A stream's events of a stretch of time, after a place in their order.
-- Parameters: stream_id bigint, after_at timestamptz, after_id text, until timestamptz (exclusive),
-- batch int.
-- A row: track, occurred_at, event_id, version, data (JSON text or null).
-- Index: the identity index of the partitions (stream, time, id).
SELECT track, occurred_at, event_id, version, data::text AS data
FROM ingest_event
WHERE stream_id = %(stream_id)s
  AND occurred_at >= %(after_at)s AND occurred_at < %(until)s
  AND (occurred_at, event_id) > (%(after_at)s, %(after_id)s)
ORDER BY occurred_at, event_id
LIMIT %(batch)s
