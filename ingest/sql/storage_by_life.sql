-- How many events of each counted day live how long, and their share of the day's size.
-- Parameters: until date, the last day on which something goes that is asked for.
-- A row: parent, day, days (of life), events, size_bytes.
-- Streams that are not registered any more are left out, but count for the shares. Index: none; the
-- counts of each stored day are gone through once.
SELECT parent, day, days, events::bigint AS events,
       (size_bytes * events / greatest(whole, 1))::bigint AS size_bytes
FROM (
    SELECT leaf.parent, leaf.day, leaf.size_bytes, stream.retention_days AS days,
           sum(each.value::bigint) AS events,
           sum(sum(each.value::bigint)) OVER (PARTITION BY leaf.parent, leaf.day) AS whole
    FROM ingest_storageleaf AS leaf, jsonb_each_text(leaf.streams) AS each
    LEFT JOIN catalog_stream AS stream ON stream.id = each.key::bigint
    GROUP BY leaf.parent, leaf.day, leaf.size_bytes, stream.retention_days
) AS lived
WHERE days IS NOT NULL AND day + days <= %(until)s::date
