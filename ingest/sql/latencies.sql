-- The histograms of a stream (0: of everything) over a stretch of time.
-- Parameters: stream bigint, since timestamptz, until timestamptz (exclusive).
-- A row: measure, bucket, events. Index: the primary key, a range of it for each measure.
SELECT measure, bucket, sum(events)::bigint AS events
FROM ingest_latencyminute
WHERE stream_id = %(stream)s::bigint
  AND measure IN (1, 2, 3, 4, 5, 6)
  AND minute >= %(since)s::timestamptz AND minute < %(until)s::timestamptz
GROUP BY 1, 2
