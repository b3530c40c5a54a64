-- What groups got before a moment, whatever became of it.
-- Parameters: keys text[]; since and until timestamptz, the span that is looked at.
-- Row: group_key, its letters of the span, and its first one. Index: ingest_dead_letter_group.
-- Locks: none.
SELECT group_key, count(*) AS letters, min(received_at) AS first_at
FROM ingest_dead_letter
WHERE state IN ('open', 'replayed', 'discarded')
    AND group_key = ANY(%(keys)s::text[])
    AND received_at >= %(since)s::timestamptz AND received_at < %(until)s::timestamptz
GROUP BY group_key
