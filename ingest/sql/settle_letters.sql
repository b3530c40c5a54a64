-- Ends open dead letters as replayed or discarded.
-- Parameters: ids uuid[] and ats timestamptz[] (of receipt) of equal length; state; repair uuid; by;
--   decision text, the reason of a discard, else null.
-- Row: none; the count is that of the letters that were open until now. Index: primary key.
-- Locks: the rows, until commit.
UPDATE ingest_dead_letter AS letter
SET state = %(state)s::text, decided_at = now(), decided_by = %(by)s::text,
    repair_id = %(repair)s::uuid, decision = %(decision)s::text
FROM unnest(%(ids)s::uuid[], %(ats)s::timestamptz[]) AS done (id, received_at)
WHERE letter.received_at = done.received_at AND letter.id = done.id AND letter.state = 'open'
