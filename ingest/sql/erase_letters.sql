-- Deletes dead letters; the triggers of the table take them out of the counts.
-- Parameters: ids uuid[], times timestamptz[] (of receipt) of equal length.
-- Row: none. Index: the primary key of the leaves. Locks: the rows deleted, and their counts.
DELETE FROM ingest_dead_letter AS letter
USING unnest(%(ids)s::uuid[], %(times)s::timestamptz[]) AS gone (id, received_at)
WHERE letter.received_at = gone.received_at AND letter.id = gone.id
