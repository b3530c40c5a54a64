-- Adds to the counts of who uses what is deprecated, in the transaction that stores the events.
-- Parameters: arrays of equal length, one element per (stream, day, producer, kind, name); at
-- timestamptz, the latest receipt among them.
-- Row: none. Index: primary key. Locks: the touched rows, in key order, until commit.
INSERT INTO ingest_deprecateduse AS account (
    stream_id, day, producer_id, kind, name, events, last_at
)
SELECT new.stream_id, new.day, new.producer_id, new.kind, new.name, new.events,
       %(at)s::timestamptz
FROM unnest(
    %(streams)s::bigint[], %(days)s::date[], %(producers)s::bigint[], %(kinds)s::text[],
    %(names)s::text[], %(events)s::bigint[]
) AS new (stream_id, day, producer_id, kind, name, events)
ORDER BY stream_id, day, producer_id, kind, name COLLATE "C"
ON CONFLICT (stream_id, day, producer_id, kind, name) DO UPDATE SET
    events = account.events + excluded.events,
    last_at = greatest(account.last_at, excluded.last_at)
