-- Whether a stream has events in one day of one track that a transaction or a later one wrote.
-- Parameters: track smallint, stream_id bigint, start timestamptz, end timestamptz (exclusive),
-- from_tx bigint.
-- A row or none. Index: ingest_event_position of the one leaf that is left after pruning.
SELECT 1 AS found
FROM ingest_event
WHERE track = %(track)s AND stream_id = %(stream_id)s
  AND occurred_at >= %(start)s AND occurred_at < %(end)s
  AND tx >= %(from_tx)s::text::xid8
LIMIT 1
