-- What was taken and refused in bins of a stretch of time, by producer.
-- Parameters: start timestamptz, end timestamptz (exclusive), step interval.
-- A row: producer_id, start (of the bin), received, accepted, duplicate, dead_lettered; bins without
-- an account absent. Index: ingest_minute_minute.
SELECT producer_id,
       date_bin(%(step)s::interval, minute, %(start)s::timestamptz) AS start,
       sum(received)::bigint AS received,
       sum(accepted)::bigint AS accepted,
       sum(duplicate)::bigint AS duplicate,
       sum(dead_lettered)::bigint AS dead_lettered
FROM ingest_ingestminute
WHERE minute >= %(start)s AND minute < %(end)s
GROUP BY 1, 2
