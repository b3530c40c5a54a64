-- What a producer sent in the last minute, hour and day, from the accounts of ingest.
-- Parameters: producer_id bigint, now timestamptz.
-- A row: three, name (minute, hour, day), received, accepted, duplicate, dead_lettered; the minute
-- is the last whole one. Index: ingest_minute_producer, its range of the day, once.
WITH day AS MATERIALIZED (
    SELECT minute, sum(received) AS received, sum(accepted) AS accepted,
           sum(duplicate) AS duplicate, sum(dead_lettered) AS dead_lettered
    FROM ingest_ingestminute
    WHERE producer_id = %(producer_id)s::bigint
      AND minute >= date_trunc('minute', %(now)s::timestamptz) - make_interval(days => 1)
      AND minute < date_trunc('minute', %(now)s::timestamptz)
    GROUP BY minute
)
SELECT span.name,
       coalesce(sum(received), 0)::bigint AS received,
       coalesce(sum(accepted), 0)::bigint AS accepted,
       coalesce(sum(duplicate), 0)::bigint AS duplicate,
       coalesce(sum(dead_lettered), 0)::bigint AS dead_lettered
FROM (VALUES ('minute', 1), ('hour', 60), ('day', 1440)) AS span (name, minutes)
LEFT JOIN day ON day.minute >= date_trunc('minute', %(now)s::timestamptz)
                               - make_interval(mins => span.minutes)
GROUP BY span.name, span.minutes
ORDER BY span.minutes
