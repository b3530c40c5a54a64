-- The dead letters that the same bytes left in the last seven days.
-- Parameter: bodies bytea[] (SHA-256).
-- Row: producer, reason, type, event id, event time in microseconds (or null), SHA-256, dead letter.
-- Index: ingest_dead_letter_body, in at most eight partitions.
SELECT
    producer_id, reason, type, event_id, (extract(epoch FROM occurred_at) * 1000000)::bigint,
    body_sha256, id
FROM ingest_dead_letter
WHERE body_sha256 = ANY(%(bodies)s::bytea[]) AND received_at > now() - interval '7 days'
ORDER BY received_at DESC
