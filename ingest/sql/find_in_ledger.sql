-- Events without a time of their own by their id, of the last week.
-- Parameters: streams bigint[]; id text; most integer.
-- A row: stream_id, occurred_at. Index: the primary key, one look a stream.
SELECT stream_id, occurred_at
FROM ingest_event_ledger
WHERE stream_id = ANY(%(streams)s::bigint[]) AND event_id = %(id)s::text
LIMIT %(most)s::integer
