-- The newest kept letters of some groups, whatever became of them.
-- Parameters: keys text[]; alive_since timestamptz; most integer.
-- Row: id, received_at, the newest first; at most `most`. Index: ingest_dead_letter_group, backwards,
-- once a group, state and day until there are enough. Locks: none.
SELECT newest.id, newest.received_at
FROM unnest(%(keys)s::text[]) AS wanted (group_key)
CROSS JOIN (VALUES ('open'), ('replayed'), ('discarded')) AS any_of (state)
CROSS JOIN LATERAL (
    SELECT letter.id, letter.received_at
    FROM ingest_dead_letter AS letter
    WHERE letter.state = any_of.state AND letter.group_key = wanted.group_key
        AND letter.received_at >= %(alive_since)s::timestamptz
    ORDER BY letter.received_at DESC
    LIMIT %(most)s::integer
) AS newest
ORDER BY newest.received_at DESC, newest.id
LIMIT %(most)s::integer
