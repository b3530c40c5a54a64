-- How many stored events a replay of a stream will read.
-- Parameters: stream_id bigint, since timestamptz, until timestamptz, seen_by timestamptz,
-- test_producers bigint[], alive_since timestamptz.
-- A row: events. Index: the identity index of the partitions (stream, time, id).
SELECT count(*) AS events
FROM ingest_event
WHERE stream_id = %(stream_id)s
  AND occurred_at >= %(alive_since)s AND occurred_at >= %(since)s AND occurred_at < %(until)s AND received_at < %(seen_by)s
  AND producer_id <> ALL (%(test_producers)s::bigint[])
