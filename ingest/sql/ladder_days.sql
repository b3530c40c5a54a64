-- Whole and begun days (UTC) of streams: how many events were judged by their contract, and how many
-- of those broke it, refused or not. Producers marked as test are left out, as in replays.
-- Parameters: streams bigint[], since timestamptz, until timestamptz (exclusive).
-- A row: stream_id, day, judged, violations; days without a judged event absent.
-- Index: primary key (stream_id, minute, producer_id, slot).
SELECT account.stream_id,
       (account.minute AT TIME ZONE 'UTC')::date AS day,
       sum(account.accepted + account.invalid)::bigint AS judged,
       sum(account.violations + account.invalid)::bigint AS violations
FROM ingest_ingestminute AS account
WHERE account.stream_id = ANY (%(streams)s::bigint[])
  AND account.minute >= %(since)s AND account.minute < %(until)s
  AND NOT EXISTS (
      SELECT FROM catalog_producer WHERE id = account.producer_id AND is_test
  )
GROUP BY 1, 2
HAVING sum(account.accepted + account.invalid) > 0
