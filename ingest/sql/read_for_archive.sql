-- A stream's events of one day and track that some transactions wrote, after a place in their order.
-- Parameters: track smallint, stream_id bigint, after_at timestamptz, after_id text, end timestamptz
-- (exclusive), from_tx bigint, below_tx bigint (exclusive), batch int.
-- A row: every column of the log; JSON as text, the transaction as a number.
-- Index: the identity index of the one leaf that is left after pruning.
SELECT stream_id, track, occurred_at, event_id, received_at, producer_id, version, subject, source,
       attributes::text AS attributes, data::text AS data, data_base64, extra::text AS extra,
       content_hash, marks, tx::text::bigint AS tx, seq
FROM ingest_event
WHERE track = %(track)s AND stream_id = %(stream_id)s
  AND occurred_at >= %(after_at)s AND occurred_at < %(end)s
  AND (occurred_at, event_id) > (%(after_at)s, %(after_id)s)
  AND tx >= %(from_tx)s::text::xid8 AND tx < %(below_tx)s::text::xid8
ORDER BY occurred_at, event_id
LIMIT %(batch)s
