-- Adds the refusals of one stretch up to one row a unit, as thin_accounts does with the accounts.
-- Parameters: start timestamptz, end timestamptz (exclusive; whole units), unit text (hour or day).
-- Row: none; touches none when it was done before. Index: ingest_refusal_minute.
-- Locks: the rows of the stretch.
WITH fine AS (
    DELETE FROM ingest_refusalminute
    WHERE minute >= %(start)s AND minute < %(end)s
      AND minute <> date_trunc(%(unit)s, minute, 'UTC')
    RETURNING *
)
INSERT INTO ingest_refusalminute AS kept (stream_id, minute, producer_id, reason, events)
SELECT stream_id, date_trunc(%(unit)s, minute, 'UTC'), producer_id, reason, sum(events)
FROM fine
GROUP BY 1, 2, 3, 4
ON CONFLICT (stream_id, minute, producer_id, reason) DO UPDATE SET
    events = kept.events + excluded.events
