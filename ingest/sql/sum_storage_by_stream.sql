-- Puts what the counted days say of each stream into one row a stream.
-- Parameters: none. Row: none. Index: none; the counts of each stored day are gone through once.
-- Locks: the rows of ingest_storagestream that change.
WITH shares AS (
    SELECT each.key::bigint AS stream_id, leaf.day, each.value::bigint AS events,
           leaf.size_bytes * each.value::numeric
               / nullif(sum(each.value::numeric) OVER (PARTITION BY leaf.parent, leaf.day), 0) AS bytes
    FROM ingest_storageleaf AS leaf, jsonb_each_text(leaf.streams) AS each
), gone AS (
    DELETE FROM ingest_storagestream AS row
    WHERE NOT EXISTS (SELECT 1 FROM shares WHERE shares.stream_id = row.stream_id)
)
INSERT INTO ingest_storagestream AS kept (stream_id, events, size_bytes, oldest_on, newest_on)
SELECT stream_id, sum(events), round(sum(bytes)), min(day), max(day)
FROM shares
WHERE events > 0
GROUP BY 1
ON CONFLICT (stream_id) DO UPDATE SET
    events = excluded.events, size_bytes = excluded.size_bytes,
    oldest_on = excluded.oldest_on, newest_on = excluded.newest_on
WHERE (kept.events, kept.size_bytes, kept.oldest_on, kept.newest_on)
    IS DISTINCT FROM (excluded.events, excluded.size_bytes, excluded.oldest_on, excluded.newest_on)
