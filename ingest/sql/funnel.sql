-- What became of what a stream received in a stretch of time, in one snapshot.
-- Parameters: stream bigint, since timestamptz, until timestamptz (exclusive; whole minutes).
-- Row: one; reasons are texts of a reason and its count. What was refused before reasons
-- were counted is in dead_lettered alone. Index: the primary keys of both tables.
SELECT coalesce(sum(received), 0)::bigint AS received,
       coalesce(sum(accepted), 0)::bigint AS accepted,
       coalesce(sum(duplicate), 0)::bigint AS duplicate,
       coalesce(sum(dead_lettered), 0)::bigint AS dead_lettered,
       coalesce(sum(replayed), 0)::bigint AS replayed,
       coalesce(sum(repaired), 0)::bigint AS repaired,
       ARRAY(
           SELECT reason || ' ' || sum(events)
           FROM ingest_refusalminute
           WHERE stream_id = %(stream)s::bigint
             AND minute >= %(since)s::timestamptz AND minute < %(until)s::timestamptz
           GROUP BY reason
       ) AS reasons
FROM ingest_ingestminute
WHERE stream_id = %(stream)s::bigint
  AND minute >= %(since)s::timestamptz AND minute < %(until)s::timestamptz
