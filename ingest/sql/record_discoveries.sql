-- Counts events of types that nobody registered.
-- Parameters: types text[], counts bigint[], producers bigint[] of equal length; at timestamptz.
-- Row: none. Index: primary key. Locks: the touched rows, in key order, until commit.
INSERT INTO ingest_discoveredstream AS found (
    type, first_seen_at, last_seen_at, events, producer_id, state
)
SELECT type, %(at)s, %(at)s, events, producer_id, 'open'
FROM unnest(%(types)s::text[], %(counts)s::bigint[], %(producers)s::bigint[])
    AS new (type, events, producer_id)
ORDER BY type COLLATE "C"
ON CONFLICT (type) DO UPDATE SET
    last_seen_at = greatest(found.last_seen_at, excluded.last_seen_at),
    events = found.events + excluded.events
