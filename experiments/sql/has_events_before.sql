-- Whether a stream has events before a moment: is there a pre-period to adjust by?
-- Parameters: stream_id bigint, moment timestamptz, alive_since timestamptz. A row: found.
-- Index: the identity index of the partitions, by stream and time.
SELECT EXISTS (
    SELECT 1 FROM ingest_event
    WHERE stream_id = %(stream_id)s AND occurred_at < %(moment)s AND occurred_at >= %(alive_since)s
) AS found
