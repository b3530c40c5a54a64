-- One measure's histograms of some streams since a moment.
-- Parameters: streams bigint[], measure smallint, since timestamptz.
-- A row: stream_id, bucket, events. Index: the primary key, a range of it a stream.
SELECT stream_id, bucket, sum(events)::bigint AS events
FROM ingest_latencyminute
WHERE stream_id = ANY(%(streams)s::bigint[])
  AND measure = %(measure)s::smallint
  AND minute >= %(since)s::timestamptz
GROUP BY 1, 2
