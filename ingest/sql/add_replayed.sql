-- Adds stored dead letters to the accounts of the minute, in the transaction that stores them.
-- Parameters: streams bigint[], producers bigint[], counts bigint[] of equal length; minute;
--   repaired smallint, 1 when they were changed before, else 0.
-- Row: none. Index: primary key. Locks: the touched rows, in key order, until commit.
INSERT INTO ingest_ingestminute AS account (
    stream_id, minute, producer_id, received, accepted, duplicate, dead_lettered, invalid,
    violations, drift, replayed, repaired
)
SELECT stream_id, %(minute)s::timestamptz, producer_id, 0, 0, 0, 0, 0, 0, 0, replayed,
       replayed * %(repaired)s::smallint
FROM unnest(%(streams)s::bigint[], %(producers)s::bigint[], %(counts)s::bigint[])
    AS new (stream_id, producer_id, replayed)
ORDER BY stream_id, producer_id
ON CONFLICT (stream_id, minute, producer_id, slot) DO UPDATE SET
    replayed = account.replayed + excluded.replayed,
    repaired = account.repaired + excluded.repaired
