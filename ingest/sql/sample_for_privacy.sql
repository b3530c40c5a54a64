-- The newest stored events of a stream since a time of receipt, for the detector of personal values.
-- Parameters: stream_id bigint, since timestamptz and alive_since timestamptz (of
-- the event's time), after timestamptz (of
-- receipt, exclusive), batch int.
-- A row: received_at, occurred_at, version, data (JSON text or null), extra (JSON text or null).
-- Index: the identity index of the partitions (stream, time, id), newest first.
SELECT received_at, occurred_at, version, data::text AS data, extra::text AS extra
FROM ingest_event
WHERE stream_id = %(stream_id)s AND occurred_at >= %(since)s
  AND occurred_at >= %(alive_since)s AND received_at > %(after)s
ORDER BY occurred_at DESC, event_id DESC
LIMIT %(batch)s
