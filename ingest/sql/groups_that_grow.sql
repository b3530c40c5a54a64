-- Groups of open dead letters that got many of late.
-- Parameters: since timestamptz, where the window begins; least bigint, how many are many.
-- Row: group_key, letters of the window, reason, type, stream (or null), producer. Index: primary key.
-- Locks: none.
SELECT group_key, count(*) AS letters, max(reason) AS reason, max(type) AS type,
    max(stream_id) AS stream_id, max(producer_id) AS producer_id
FROM ingest_dead_letter
WHERE received_at >= %(since)s::timestamptz AND state = 'open'
GROUP BY group_key
HAVING count(*) >= %(least)s::bigint
ORDER BY letters DESC, group_key
LIMIT 200
