-- Where a stretch of one day's events ends, in the order of their identity.
-- Parameters: track smallint, start timestamptz, end timestamptz (exclusive), after_stream bigint,
-- after_at timestamptz, after_id text (the place to go on from), batch int.
-- A row: holder (the stream), occurred_at and event_id of the last one, and looked_at bigint, how many
-- there are up to it; none at the end of the day. Index: the identity index of the one leaf.
SELECT stream_id AS holder, occurred_at, event_id, count(*) OVER () AS looked_at
FROM (
    SELECT stream_id, occurred_at, event_id
    FROM ingest_event
    WHERE track = %(track)s::smallint
      AND occurred_at >= %(start)s::timestamptz AND occurred_at < %(end)s::timestamptz
      AND (stream_id, occurred_at, event_id)
          > (%(after_stream)s::bigint, %(after_at)s::timestamptz, %(after_id)s::text COLLATE "C")
    ORDER BY stream_id, occurred_at, event_id
    LIMIT %(batch)s::int
) AS stretch
ORDER BY stream_id DESC, occurred_at DESC, event_id DESC
LIMIT 1
