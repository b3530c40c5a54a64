-- The content of stored events by identity, for a dry run.
-- Parameters: tracks smallint[], streams bigint[], times timestamptz[], ids text[] of equal length.
-- Row: place in the arrays (from 1) and content_hash, of those that are stored.
-- Index: the unique one of each leaf, one look-up an element (LIMIT keeps it a nested loop, so that
-- the leaf is chosen by time at run time). Locks: none.
SELECT wanted.place, stored.content_hash
FROM unnest(
    %(tracks)s::smallint[], %(streams)s::bigint[], %(times)s::timestamptz[], %(ids)s::text[]
) WITH ORDINALITY AS wanted (track, stream_id, occurred_at, event_id, place)
CROSS JOIN LATERAL (
    SELECT event.content_hash
    FROM ingest_event AS event
    WHERE event.track = wanted.track
        AND event.stream_id = wanted.stream_id
        AND event.occurred_at = wanted.occurred_at
        AND event.event_id = wanted.event_id COLLATE "C"
    LIMIT 1
) AS stored
