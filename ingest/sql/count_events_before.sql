-- How many events of a stream are older than a moment, counted up to a bound.
-- Parameters: stream_id bigint, before timestamptz (exclusive), bound int.
-- One row: events. Index: the identity index of the partitions, alone where they are vacuumed.
SELECT count(*) AS events
FROM (
    SELECT 1 FROM ingest_event
    WHERE stream_id = %(stream_id)s AND occurred_at < %(before)s
    LIMIT %(bound)s
) AS found
