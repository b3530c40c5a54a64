-- Deletes restored events by their identity.
-- Parameters: holders uuid[] (the restores), times timestamptz[], ids text[] of equal length.
-- Row: none. Index: the primary key. Locks: the rows deleted.
DELETE FROM ingest_restoredevent AS event
USING unnest(%(holders)s::uuid[], %(times)s::timestamptz[], %(ids)s::text[])
    AS gone (restore_id, occurred_at, event_id)
WHERE event.restore_id = gone.restore_id AND event.occurred_at = gone.occurred_at
  AND event.event_id = gone.event_id COLLATE "C"
