-- Claims identities of events that came without a time, for seven days.
-- Parameters: streams bigint[], ids text[], times timestamptz[], hashes bytea[] of equal length.
-- Row: stream_id and event_id of each identity that is new (or whose old claim has expired).
-- Index: primary key. Locks: rows, in key order.
INSERT INTO ingest_event_ledger AS ledger (
    stream_id, event_id, occurred_at, content_hash, expires_at
)
SELECT stream_id, event_id, occurred_at, content_hash, now() + interval '7 days'
FROM unnest(
    %(streams)s::bigint[], %(ids)s::text[], %(times)s::timestamptz[], %(hashes)s::bytea[]
) AS new (stream_id, event_id, occurred_at, content_hash)
ORDER BY stream_id, event_id COLLATE "C"
ON CONFLICT (stream_id, event_id) DO UPDATE SET
    occurred_at = excluded.occurred_at,
    content_hash = excluded.content_hash,
    expires_at = excluded.expires_at
WHERE ledger.expires_at <= now()
RETURNING stream_id, event_id
