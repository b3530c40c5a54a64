-- Puts columns of one restored event in place of those it had: what named somebody was taken out.
-- Parameters: holder uuid (the restore), occurred_at timestamptz, event_id text; source text,
-- attributes, data and extra text (JSON or null), data_base64 bytea, marks smallint.
-- Row: none. Index: the primary key. Locks: the event. Nobody else changes restored events.
UPDATE ingest_restoredevent
SET source = %(source)s::text, attributes = %(attributes)s::text::jsonb,
    data = %(data)s::text::jsonb, extra = %(extra)s::text::jsonb,
    data_base64 = %(data_base64)s::bytea, marks = %(marks)s::smallint
WHERE restore_id = %(holder)s::uuid AND occurred_at = %(occurred_at)s::timestamptz
  AND event_id = %(event_id)s::text COLLATE "C"
