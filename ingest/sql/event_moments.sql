-- When a stored event was committed and became readable, by the times of commits that the server keeps.
-- Parameters: track smallint, stream bigint, at timestamptz, id text: an event's identity and place.
-- Row: one or none. tx, seq: its position; is_readable: every earlier position is visible by now;
-- committed_at, readable_at: null where the server keeps no times of commits (track_commit_timestamp),
-- or not any more. Readable is the latest commit among it and the thousand transactions before it, as
-- readers stop at the oldest one that runs. The server knows a transaction by 32 bits only, so one
-- that began more than half of that ago is not asked for.
-- Index: the identity of the leaf.
SELECT event.tx::text::bigint AS tx,
       event.seq,
       event.tx < pg_snapshot_xmin(pg_current_snapshot()) AS is_readable,
       kept.committed_at,
       kept.readable_at
FROM ingest_event AS event
LEFT JOIN LATERAL (
    SELECT max(commits.at) FILTER (WHERE commits.number = event.tx::text::bigint) AS committed_at,
           max(commits.at) AS readable_at
    FROM (
        SELECT number,
               pg_xact_commit_timestamp((number %% 4294967296)::text::xid) AS at
        FROM generate_series(
            greatest(event.tx::text::bigint - 1000, 3), event.tx::text::bigint
        ) AS number
        WHERE number %% 4294967296 >= 3
    ) AS commits
) AS kept ON current_setting('track_commit_timestamp') = 'on'
    AND pg_snapshot_xmax(pg_current_snapshot())::text::bigint - event.tx::text::bigint
        BETWEEN 0 AND 2147483647
WHERE event.track = %(track)s::smallint
  AND event.stream_id = %(stream)s::bigint
  AND event.occurred_at = %(at)s::timestamptz
  AND event.event_id = %(id)s::text
