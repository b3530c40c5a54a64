-- Adds the histograms of one stretch up to one a unit.
-- Parameters: start timestamptz, end timestamptz (exclusive; whole units), unit text (hour or day).
-- Row: none; touches none when it was done before. Index: ingest_latency_minute.
-- Locks: the rows of the stretch.
WITH fine AS (
    DELETE FROM ingest_latencyminute
    WHERE minute >= %(start)s AND minute < %(end)s
      AND minute <> date_trunc(%(unit)s, minute, 'UTC')
    RETURNING *
)
INSERT INTO ingest_latencyminute AS kept (stream_id, measure, minute, bucket, events)
SELECT stream_id, measure, date_trunc(%(unit)s, minute, 'UTC'), bucket, sum(events)
FROM fine
GROUP BY 1, 2, 3, 4
ON CONFLICT (stream_id, measure, minute, bucket) DO UPDATE SET
    events = kept.events + excluded.events
