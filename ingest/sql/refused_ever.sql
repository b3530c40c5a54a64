-- Dead-lettered events by reason, over all streams and all time since reasons are counted.
-- A row: reason, events; reasons that never came about are absent. Reads the whole table: one row for
-- each stream, producer, minute and reason in which something was refused, thinned as it gets older.
SELECT reason, sum(events)::bigint AS events
FROM ingest_refusalminute
GROUP BY reason
