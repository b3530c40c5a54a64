-- Adds to the accounts of refusals by reason, in the transaction that keeps the dead letters.
-- Parameters: arrays of equal length, one element per (stream, producer, minute, reason).
-- Row: none. Index: primary key. Locks: the touched rows, in key order, until commit.
INSERT INTO ingest_refusalminute AS account (stream_id, minute, producer_id, reason, events)
SELECT * FROM unnest(
    %(streams)s::bigint[], %(minutes)s::timestamptz[], %(producers)s::bigint[],
    %(reasons)s::text[], %(events)s::bigint[]
) AS new (stream_id, minute, producer_id, reason, events)
ORDER BY stream_id, minute, producer_id, reason
ON CONFLICT (stream_id, minute, producer_id, reason) DO UPDATE SET
    events = account.events + excluded.events
