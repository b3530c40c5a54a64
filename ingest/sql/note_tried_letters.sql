-- Notes at open dead letters what a replay met that left them refused.
-- Parameters: ids uuid[], ats timestamptz[] (of receipt) and tried text[] (JSON) of equal length.
-- Row: none. Index: primary key. Locks: the rows, until commit.
UPDATE ingest_dead_letter AS letter
SET tried = noted.tried::jsonb
FROM unnest(%(ids)s::uuid[], %(ats)s::timestamptz[], %(tried)s::text[])
    AS noted (id, received_at, tried)
WHERE letter.received_at = noted.received_at AND letter.id = noted.id AND letter.state = 'open'
