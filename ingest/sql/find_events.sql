-- Events by their id in some streams, of a stretch of time.
-- Parameters: streams bigint[]; id text; since, until timestamptz; most integer.
-- A row: stream_id, occurred_at. Index: (stream_id, occurred_at, event_id) of each day's leaf, one look
-- a stream.
SELECT stream_id, occurred_at
FROM ingest_event
WHERE stream_id = ANY(%(streams)s::bigint[]) AND event_id = %(id)s::text
    AND occurred_at >= %(since)s::timestamptz AND occurred_at < %(until)s::timestamptz
LIMIT %(most)s::integer
