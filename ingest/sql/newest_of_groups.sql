-- The faults of the newest letter of each of some groups in a state.
-- Parameters: keys text[] and streams bigint[] of equal length (null: of any stream); state text;
-- alive_since timestamptz.
-- Row: group_key, errors (JSON text). Index: ingest_dead_letter_group, backwards, once a group and day.
-- Locks: none.
SELECT wanted.group_key, newest.errors::text AS errors
FROM unnest(%(keys)s::text[], %(streams)s::bigint[]) AS wanted (group_key, stream_id)
CROSS JOIN LATERAL (
    SELECT errors
    FROM ingest_dead_letter AS letter
    WHERE letter.state = %(state)s AND letter.group_key = wanted.group_key
        AND (wanted.stream_id IS NULL OR letter.stream_id = wanted.stream_id)
        AND letter.received_at >= %(alive_since)s::timestamptz
    ORDER BY letter.received_at DESC
    LIMIT 1
) AS newest
