-- The content hashes of claimed identities.
-- Parameters: streams bigint[], ids text[] of equal length.
-- Row: stream_id, event_id, content_hash. Index: primary key. Locks: none.
SELECT ledger.stream_id, ledger.event_id, ledger.content_hash
FROM unnest(%(streams)s::bigint[], %(ids)s::text[]) AS wanted (stream_id, event_id)
JOIN ingest_event_ledger AS ledger
    ON ledger.stream_id = wanted.stream_id AND ledger.event_id = wanted.event_id COLLATE "C"
