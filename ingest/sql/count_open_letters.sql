-- How many dead letters of some groups are open, and when the first of them came.
-- Parameters: keys text[]; until timestamptz, the last receipt that counts; alive_since timestamptz.
-- Row: one. Index: ingest_dead_letter_group. Locks: none.
SELECT count(*) AS letters, min(received_at) AS first_at
FROM ingest_dead_letter
WHERE state = 'open' AND group_key = ANY(%(keys)s::text[])
    AND received_at <= %(until)s::timestamptz AND received_at >= %(alive_since)s::timestamptz
