-- How far each source of a stream has come, over the stream's newest 5,000 events by position.
-- Parameters: stream_id bigint, alive_since timestamptz.
-- A row: name (source), max_event_time and last_received (seconds since 1970), tx and seq of the
-- newest of them. No rows: nothing was ever accepted. Index: ingest_event_position, backwards.
SELECT source AS name,
       extract(epoch FROM max(occurred_at))::float8 AS max_event_time,
       extract(epoch FROM max(received_at))::float8 AS last_received,
       max(tx::text::bigint) AS tx,
       max(seq) AS seq
FROM (
    SELECT source, occurred_at, received_at, tx, seq
    FROM ingest_event
    WHERE stream_id = %(stream_id)s AND occurred_at >= %(alive_since)s
      AND tx < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY tx DESC, seq DESC
    LIMIT 5000
) AS newest
GROUP BY source
ORDER BY source
