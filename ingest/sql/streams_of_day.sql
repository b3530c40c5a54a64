-- Which streams have events in one day of one track, found by leaps through the identity index.
-- Parameters: track smallint, start timestamptz, end timestamptz (exclusive).
-- A row: stream_id, ascending. Index: the identity index of the one leaf that is left after pruning.
WITH RECURSIVE found AS (
    (SELECT stream_id FROM ingest_event
     WHERE track = %(track)s AND occurred_at >= %(start)s AND occurred_at < %(end)s
     ORDER BY stream_id LIMIT 1)
    UNION ALL
    SELECT (SELECT later.stream_id FROM ingest_event AS later
            WHERE later.track = %(track)s
              AND later.occurred_at >= %(start)s AND later.occurred_at < %(end)s
              AND later.stream_id > found.stream_id
            ORDER BY later.stream_id LIMIT 1)
    FROM found WHERE found.stream_id IS NOT NULL
)
SELECT stream_id FROM found WHERE stream_id IS NOT NULL
