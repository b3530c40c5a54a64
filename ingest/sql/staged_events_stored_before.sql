-- The content of those stored events whose identity is staged and was there before.
-- Row: identity (occurred_us: microseconds since 1970) and content_hash of the stored event.
-- Index: the unique one of each leaf, one look-up a staged row (LIMIT keeps it a nested loop, so
-- that the leaf is chosen by time at run time). Locks: none.
SELECT
    s.stream_id,
    (extract(epoch FROM s.occurred_at) * 1000000)::bigint AS occurred_us,
    s.event_id,
    e.content_hash
FROM ingest_stage AS s
CROSS JOIN LATERAL (
    SELECT content_hash, tx
    FROM ingest_event
    WHERE track = s.track
        AND stream_id = s.stream_id
        AND occurred_at = s.occurred_at
        AND event_id = s.event_id
    LIMIT 1
) AS e
WHERE e.tx <> pg_current_xact_id()
