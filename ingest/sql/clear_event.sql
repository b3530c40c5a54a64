-- Puts columns of one event in place of those it had: what named somebody was taken out of them.
-- Parameters: track smallint, holder bigint (the stream), occurred_at timestamptz, event_id text;
-- source text, attributes, data and extra text (JSON or null), data_base64 bytea, marks smallint.
-- Row: none. Index: the identity index of one leaf. Locks: the event.
UPDATE ingest_event
SET source = %(source)s::text, attributes = %(attributes)s::text::jsonb,
    data = %(data)s::text::jsonb, extra = %(extra)s::text::jsonb,
    data_base64 = %(data_base64)s::bytea, marks = %(marks)s::smallint
WHERE track = %(track)s::smallint AND stream_id = %(holder)s::bigint
  AND occurred_at = %(occurred_at)s::timestamptz AND event_id = %(event_id)s::text COLLATE "C"
