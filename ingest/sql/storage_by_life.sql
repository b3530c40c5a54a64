-- How many events of each counted day live how long, and their share of the day's size.
-- Parameters: none. A row: parent, day, days (of life), events, size_bytes.
-- Streams that are not registered any more are left out. Index: none; some rows a stored day.
SELECT leaf.parent, leaf.day, stream.retention_days AS days, sum(each.value::bigint)::bigint AS events,
       (leaf.size_bytes * sum(each.value::bigint)
           / greatest((SELECT sum(value::bigint) FROM jsonb_each_text(leaf.streams)), 1))::bigint
           AS size_bytes
FROM ingest_storageleaf AS leaf, jsonb_each_text(leaf.streams) AS each
JOIN catalog_stream AS stream ON stream.id = each.key::bigint
GROUP BY leaf.parent, leaf.day, leaf.size_bytes, leaf.streams, stream.retention_days
