-- A stream's events that came from a transaction on with a time before another, after a position.
-- Parameters: stream_id bigint, after_tx bigint, after_seq bigint, until timestamptz (exclusive, of
-- the event's time), batch int.
-- A row: track, occurred_at, event_id, version, data (JSON text or null), tx bigint, seq.
-- Index: ingest_event_position (stream, transaction, sequence).
SELECT track, occurred_at, event_id, version, data::text AS data, tx::text::bigint AS tx, seq
FROM ingest_event
WHERE stream_id = %(stream_id)s AND occurred_at < %(until)s
  AND tx >= %(after_tx)s::text::xid8
  AND (tx, seq) > (%(after_tx)s::text::xid8, %(after_seq)s)
ORDER BY tx, seq
LIMIT %(batch)s
