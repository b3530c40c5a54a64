-- Keeps the sources seen from producers that declared none.
-- Parameters: producers bigint[], sources text[] of equal length; at timestamptz.
-- Row: none. Index: producer_source_once. Locks: the inserted rows, in key order.
INSERT INTO catalog_producersource (producer_id, source, declared, first_seen_at)
SELECT producer_id, source, false, %(at)s
FROM unnest(%(producers)s::bigint[], %(sources)s::text[]) AS new (producer_id, source)
ORDER BY producer_id, source
ON CONFLICT (producer_id, source) DO NOTHING
