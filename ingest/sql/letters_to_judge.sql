-- Open dead letters of some groups, the oldest first, for a dry run.
-- Parameters: keys text[]; until timestamptz, the last receipt that counts; after_at timestamptz and
--   after_id uuid, the place of the last one that was read; batch integer.
-- Row: a letter with its bytes. Index: ingest_dead_letter_group, or the primary key. Locks: none.
SELECT id, received_at, producer_id, reason, content_type, body
FROM ingest_dead_letter
WHERE state = 'open'
    AND group_key = ANY(%(keys)s::text[])
    AND received_at <= %(until)s::timestamptz
    AND received_at >= %(after_at)s::timestamptz
    AND (received_at, id) > (%(after_at)s::timestamptz, %(after_id)s::uuid)
ORDER BY received_at, id
LIMIT %(batch)s::integer
