-- Accepted events per stream and hour before a moment, hours without any absent.
-- Parameters: ids bigint[], start timestamptz, end timestamptz (exclusive).
-- A row: stream_id, hour (whole hours since start), accepted. Index: the accounts' primary key.
SELECT stream_id,
       (extract(epoch FROM date_trunc('hour', minute) - %(start)s::timestamptz) / 3600)::int AS hour,
       sum(accepted)::bigint AS accepted
FROM ingest_ingestminute
WHERE stream_id = ANY (%(ids)s::bigint[]) AND minute >= %(start)s AND minute < %(end)s
GROUP BY 1, 2
