-- Deletes events of one day by their identity.
-- Parameters: track smallint, start timestamptz, end timestamptz (exclusive); holders bigint[] (the
-- streams), times timestamptz[], ids text[] of equal length.
-- Row: none. Index: the identity index of the one leaf. Locks: the rows deleted.
DELETE FROM ingest_event AS event
USING unnest(%(holders)s::bigint[], %(times)s::timestamptz[], %(ids)s::text[])
    AS gone (stream_id, occurred_at, event_id)
WHERE event.track = %(track)s::smallint
  AND event.occurred_at >= %(start)s::timestamptz AND event.occurred_at < %(end)s::timestamptz
  AND event.stream_id = gone.stream_id AND event.occurred_at = gone.occurred_at
  AND event.event_id = gone.event_id COLLATE "C"
