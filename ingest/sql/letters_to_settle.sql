-- Open dead letters of some groups, the oldest first, held by this transaction until it ends.
-- Parameters: keys text[]; until timestamptz, the last receipt that counts; after_at timestamptz and
--   after_id uuid, the place of the last one that was read; batch integer; most_bytes bigint.
-- Row: a letter with its bytes, one at least while there is one. Index: ingest_dead_letter_group, or
-- the primary key. Bytes are only fetched for what is given.
-- Locks: rows of a page; rows that another transaction settles just now are left to it.
SELECT id, received_at, producer_id, reason, content_type, body
FROM (
    SELECT picked.*, sum(octet_length(body)) OVER (ORDER BY received_at, id) AS bytes
    FROM (
        SELECT id, received_at, producer_id, reason, content_type, body
        FROM ingest_dead_letter
        WHERE state = 'open'
            AND group_key = ANY(%(keys)s::text[])
            AND received_at <= %(until)s::timestamptz
            AND received_at >= %(after_at)s::timestamptz
            AND (received_at, id) > (%(after_at)s::timestamptz, %(after_id)s::uuid)
        ORDER BY received_at, id
        LIMIT %(batch)s::integer
        FOR UPDATE SKIP LOCKED
    ) AS picked
) AS page
WHERE bytes - octet_length(body) < %(most_bytes)s::bigint
ORDER BY received_at, id
