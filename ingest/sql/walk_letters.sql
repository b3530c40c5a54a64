-- Dead letters in the order of their receipt, whatever became of them.
-- Parameters: after_at timestamptz and after_id uuid, the place of the last one that was read; batch
-- integer; most_bytes bigint.
-- Row: a letter with its bytes, one at least while there is one. Index: the primary key of each leaf.
-- Bytes are only fetched for what is given. Locks: none.
SELECT id, received_at, occurred_at, stream_id, type, event_id, source, reason, errors::text AS errors,
       tried::text AS tried, group_key, content_type, body
FROM (
    SELECT picked.*, sum(octet_length(body)) OVER (ORDER BY received_at, id) AS bytes
    FROM (
        SELECT *
        FROM ingest_dead_letter
        WHERE received_at >= %(after_at)s::timestamptz
            AND (received_at, id) > (%(after_at)s::timestamptz, %(after_id)s::uuid)
        ORDER BY received_at, id
        LIMIT %(batch)s::integer
    ) AS picked
) AS page
WHERE bytes - octet_length(body) < %(most_bytes)s::bigint
ORDER BY received_at, id
