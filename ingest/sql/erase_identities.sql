-- Takes identities out of the ledger.
-- Parameters: streams bigint[], ids text[] of equal length.
-- Row: none. Index: the primary key. Locks: the rows deleted.
DELETE FROM ingest_event_ledger AS ledger
USING unnest(%(streams)s::bigint[], %(ids)s::text[]) AS gone (stream_id, event_id)
WHERE ledger.stream_id = gone.stream_id AND ledger.event_id = gone.event_id COLLATE "C"
