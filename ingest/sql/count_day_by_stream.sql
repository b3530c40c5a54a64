-- How many events each stream has in one day of one track.
-- Parameters: track smallint, start timestamptz, end timestamptz (exclusive).
-- A row: stream_id, events. Index: the identity index of one leaf, alone where it is vacuumed.
SELECT stream_id, count(*) AS events
FROM ingest_event
WHERE track = %(track)s AND occurred_at >= %(start)s AND occurred_at < %(end)s
GROUP BY 1
