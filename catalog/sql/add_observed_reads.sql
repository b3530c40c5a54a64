-- Adds what a consumer was given of a stream to its counts of the day, one row for each path.
-- Parameters: stream, consumer and events bigint; day date; at timestamptz, when it was given;
-- paths text[], each once.
-- Row: none. Index: primary key. Locks: the touched rows, in key order, until commit.
INSERT INTO catalog_observedread AS kept (stream_id, path, consumer_id, day, events, last_at)
SELECT %(stream)s::bigint, path, %(consumer)s::bigint, %(day)s::date, %(events)s::bigint,
       %(at)s::timestamptz
FROM unnest(%(paths)s::text[]) AS new (path)
ORDER BY path COLLATE "C"
ON CONFLICT (stream_id, path, consumer_id, day) DO UPDATE SET
    events = kept.events + excluded.events,
    last_at = greatest(kept.last_at, excluded.last_at)
