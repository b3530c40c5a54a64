-- Takes one value out of one stored event, or puts a coarser one in its place, and marks the event.
-- Parameters: track smallint, stream_id bigint, occurred_at timestamptz, event_id text, path text[],
-- value text (JSON; null to take the value out), mark smallint.
-- Row: none. Index: the identity index of one leaf. Locks: the event.
UPDATE ingest_event
SET data = CASE WHEN %(value)s::text IS NULL THEN data #- %(path)s::text[]
                ELSE jsonb_set(data, %(path)s::text[], %(value)s::text::jsonb, false) END,
    marks = (marks | %(mark)s::smallint)::smallint
WHERE track = %(track)s AND stream_id = %(stream_id)s
  AND occurred_at = %(occurred_at)s AND event_id = %(event_id)s
