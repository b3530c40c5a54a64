-- What each stream of a track received up to a moment, in windows of 1, 6 and 24 hours, and its last event.
-- Parameters: at timestamptz (exclusive end), track text. A row per stream with an account in the last 24 h.
-- Index: ingest_minute_minute.
SELECT stream_id,
       coalesce(sum(received) FILTER (WHERE minute >= %(at)s::timestamptz - interval '1 hour'), 0) AS received_1,
       coalesce(sum(invalid + violations)
                FILTER (WHERE minute >= %(at)s::timestamptz - interval '1 hour'), 0) AS bad_1,
       coalesce(sum(received) FILTER (WHERE minute >= %(at)s::timestamptz - interval '6 hours'), 0) AS received_6,
       coalesce(sum(invalid + violations)
                FILTER (WHERE minute >= %(at)s::timestamptz - interval '6 hours'), 0) AS bad_6,
       sum(received) AS received_24,
       sum(invalid + violations) AS bad_24,
       coalesce(sum(accepted) FILTER (WHERE minute >= %(at)s::timestamptz - interval '1 hour'), 0) AS accepted_1,
       sum(accepted) AS accepted_24
FROM ingest_ingestminute
WHERE minute >= %(at)s::timestamptz - interval '24 hours' AND minute < %(at)s::timestamptz AND stream_id <> 0
  AND stream_id IN (SELECT id FROM catalog_stream WHERE track = %(track)s::text)
GROUP BY stream_id
