-- What some streams took and refused in bins of a stretch of time.
-- Parameters: ids bigint[], start timestamptz, end timestamptz (exclusive), step interval.
-- A row: stream_id, start (of the bin), received, accepted, dead_lettered, bad (refused by the contract
-- or in breach of it); bins without an account absent. Index: the primary key of the accounts.
SELECT stream_id,
       date_bin(%(step)s::interval, minute, %(start)s::timestamptz) AS start,
       sum(received)::bigint AS received,
       sum(accepted)::bigint AS accepted,
       sum(dead_lettered)::bigint AS dead_lettered,
       sum(invalid + violations)::bigint AS bad
FROM ingest_ingestminute
WHERE stream_id = ANY (%(ids)s::bigint[]) AND minute >= %(start)s AND minute < %(end)s
GROUP BY 1, 2
