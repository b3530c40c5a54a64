-- The ledger of identities without a time of their own, some at a time.
-- Parameters: after_stream bigint, after_id text (the place to go on from), batch int.
-- A row: stream_id, event_id, occurred_at. Index: the primary key.
SELECT stream_id, event_id, occurred_at
FROM ingest_event_ledger
WHERE (stream_id, event_id) > (%(after_stream)s::bigint, %(after_id)s::text COLLATE "C")
ORDER BY stream_id, event_id
LIMIT %(batch)s::int
