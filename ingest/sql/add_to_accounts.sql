-- Adds to the per-minute accounts, in the transaction that stores what they count.
-- A connection counts in one slot of sixteen: in the same, each waits for the commit of the one before.
-- Parameters: arrays of equal length, one element per (stream, producer, minute).
-- Row: none. Index: primary key. Locks: the touched rows, in key order, until commit.
INSERT INTO ingest_ingestminute AS account (
    stream_id, minute, producer_id, received, accepted, duplicate, dead_lettered, invalid,
    violations, drift, slot
)
SELECT new.*, mod(pg_backend_pid(), 16) FROM unnest(
    %(streams)s::bigint[], %(minutes)s::timestamptz[], %(producers)s::bigint[],
    %(received)s::bigint[], %(accepted)s::bigint[], %(duplicate)s::bigint[],
    %(dead_lettered)s::bigint[], %(invalid)s::bigint[], %(violations)s::bigint[],
    %(drift)s::bigint[]
) AS new (
    stream_id, minute, producer_id, received, accepted, duplicate, dead_lettered, invalid,
    violations, drift
)
ORDER BY stream_id, minute, producer_id
ON CONFLICT (stream_id, minute, producer_id, slot) DO UPDATE SET
    received = account.received + excluded.received,
    accepted = account.accepted + excluded.accepted,
    duplicate = account.duplicate + excluded.duplicate,
    dead_lettered = account.dead_lettered + excluded.dead_lettered,
    invalid = account.invalid + excluded.invalid,
    violations = account.violations + excluded.violations,
    drift = account.drift + excluded.drift
