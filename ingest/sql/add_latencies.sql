-- Adds counts to histograms of how long events take.
-- Parameters: arrays of equal length, one element per (stream, measure, minute, bucket).
-- Row: none. Index: primary key. Locks: the touched rows, in key order, until commit.
INSERT INTO ingest_latencyminute AS kept (stream_id, measure, minute, bucket, events)
SELECT * FROM unnest(
    %(streams)s::bigint[], %(measures)s::smallint[], %(minutes)s::timestamptz[],
    %(buckets)s::smallint[], %(events)s::bigint[]
) AS new (stream_id, measure, minute, bucket, events)
ORDER BY stream_id, measure, minute, bucket
ON CONFLICT (stream_id, measure, minute, bucket) DO UPDATE SET
    events = kept.events + excluded.events
