-- Forgets groups of dead letters of which nothing is kept any more.
-- Parameters: before timestamptz (exclusive).
-- Row: none. Locks: the rows, until commit.
DELETE FROM ingest_lettertotal WHERE last_at < %(before)s::timestamptz
