-- Adds the accounts of one stretch up to one account a unit, in slot 0, for every stream and producer.
-- Parameters: start timestamptz, end timestamptz (exclusive; whole units), unit text (minute,
--   hour or day).
-- Row: none; touches none when it was done before. Index: ingest_minute_minute.
-- Locks: the accounts of the stretch.
WITH fine AS (
    DELETE FROM ingest_ingestminute
    WHERE minute >= %(start)s AND minute < %(end)s
      AND (minute <> date_trunc(%(unit)s, minute, 'UTC') OR slot <> 0)
    RETURNING *
)
INSERT INTO ingest_ingestminute AS kept (
    stream_id, minute, producer_id, received, accepted, duplicate, dead_lettered, invalid,
    violations, drift, replayed, repaired
)
SELECT stream_id, date_trunc(%(unit)s, minute, 'UTC'), producer_id, sum(received), sum(accepted),
       sum(duplicate), sum(dead_lettered), sum(invalid), sum(violations), sum(drift),
       sum(replayed), sum(repaired)
FROM fine
GROUP BY 1, 2, 3
ON CONFLICT (stream_id, minute, producer_id, slot) DO UPDATE SET
    received = kept.received + excluded.received,
    accepted = kept.accepted + excluded.accepted,
    duplicate = kept.duplicate + excluded.duplicate,
    dead_lettered = kept.dead_lettered + excluded.dead_lettered,
    invalid = kept.invalid + excluded.invalid,
    violations = kept.violations + excluded.violations,
    drift = kept.drift + excluded.drift,
    replayed = kept.replayed + excluded.replayed,
    repaired = kept.repaired + excluded.repaired
