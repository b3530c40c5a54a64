-- Deletes one day's events of some streams, of each stream at most so many.
-- Parameters: track smallint, streams bigint[], start timestamptz, end timestamptz (exclusive), most int.
-- One row: deleted bigint, more bigint[] (the streams that had as many, or more).
-- Index: the identity index of the one leaf that is left after pruning, once a stream. Locks: the rows
-- deleted.
WITH chosen AS MATERIALIZED (
    SELECT wanted.stream_id, found.place
    FROM unnest(%(streams)s::bigint[]) AS wanted (stream_id)
    CROSS JOIN LATERAL (
        SELECT event.ctid AS place
        FROM ingest_event AS event
        WHERE event.track = %(track)s AND event.stream_id = wanted.stream_id
          AND event.occurred_at >= %(start)s AND event.occurred_at < %(end)s
        LIMIT %(most)s
    ) AS found
), gone AS (
    DELETE FROM ingest_event AS event
    WHERE event.track = %(track)s AND event.stream_id = ANY (%(streams)s::bigint[])
      AND event.occurred_at >= %(start)s AND event.occurred_at < %(end)s
      AND event.ctid = ANY (ARRAY(SELECT place FROM chosen))
    RETURNING 1
)
SELECT (SELECT count(*) FROM gone) AS deleted,
       ARRAY(
           SELECT stream_id FROM chosen GROUP BY stream_id HAVING count(*) >= %(most)s
       ) AS more
