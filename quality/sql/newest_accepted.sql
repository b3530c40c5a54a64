-- The newest minute with an accepted event of each receiving stream of a track, before a moment.
-- Parameters: at timestamptz, track text. A row: stream_id, minute (null: none in 42 days).
-- Index: the primary key of the accounts, one descent a stream.
SELECT s.id AS stream_id, newest.minute
FROM catalog_stream AS s
LEFT JOIN LATERAL (
    SELECT minute FROM ingest_ingestminute AS m
    WHERE m.stream_id = s.id AND m.accepted > 0 AND m.minute < %(at)s
      AND m.minute >= %(at)s - interval '42 days'
    ORDER BY m.minute DESC LIMIT 1
) AS newest ON true
WHERE s.track = %(track)s::text AND s.lifecycle IN ('active', 'deprecated')
