-- The latest own time of a stream's stored events, of those later than a moment; null without any.
-- Parameters: stream bigint, after timestamptz.
-- Index: the unique one of each leaf of days to come, from its end. Locks: none.
SELECT max(newest.occurred_at) AS latest
FROM (VALUES (0), (1)) AS side (track)
CROSS JOIN LATERAL (
    SELECT occurred_at
    FROM ingest_event
    WHERE track = side.track AND stream_id = %(stream)s AND occurred_at > %(after)s
    ORDER BY occurred_at DESC
    LIMIT 1
) AS newest
