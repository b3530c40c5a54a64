-- Lists the events of a stream of state that a newer one of the same key has replaced.
-- Parameters: stream_id bigint, before timestamptz (exclusive; younger ones neither go nor replace),
-- path text[] (to the key in the data; empty for the partition key, else the subject).
-- Row: none; fills the session's ingest_superseded, numbered from 0. Index: the identity index.
-- Locks: none.
INSERT INTO ingest_superseded (n, stream_id, track, occurred_at, event_id)
SELECT row_number() OVER (ORDER BY occurred_at, event_id) - 1, stream_id, track, occurred_at, event_id
FROM (
    SELECT stream_id, track, occurred_at, event_id,
           row_number() OVER (PARTITION BY key ORDER BY occurred_at DESC, tx DESC, seq DESC) AS age
    FROM (
        SELECT stream_id, track, occurred_at, event_id, tx, seq,
               CASE WHEN cardinality(%(path)s::text[]) > 0 THEN data #>> %(path)s::text[]
                    ELSE coalesce(attributes ->> 'partitionkey', subject) END AS key
        FROM ingest_event
        WHERE stream_id = %(stream_id)s AND occurred_at < %(before)s
    ) AS keyed
    WHERE key IS NOT NULL
) AS aged
WHERE age > 1
