-- Where a stretch of restored events ends, in the order of their identity.
-- Parameters: after_restore uuid, after_at timestamptz, after_id text (the place to go on from), batch
-- int. A row: holder (the restore), occurred_at and event_id of the last one, and looked_at bigint, how
-- many there are up to it; none at the end. Index: the primary key.
SELECT restore_id AS holder, occurred_at, event_id, count(*) OVER () AS looked_at
FROM (
    SELECT restore_id, occurred_at, event_id
    FROM ingest_restoredevent
    WHERE (restore_id, occurred_at, event_id)
          > (%(after_restore)s::uuid, %(after_at)s::timestamptz, %(after_id)s::text COLLATE "C")
    ORDER BY restore_id, occurred_at, event_id
    LIMIT %(batch)s::int
) AS stretch
ORDER BY restore_id DESC, occurred_at DESC, event_id DESC
LIMIT 1
