-- Merge a batch of exposure events after a position into one row a unit (statistics §2.2).
-- Parameters: experiment_id bigint, epoch int, key text, stream_id bigint, since timestamptz,
-- tx bigint, seq bigint (position read so far), batch int, salt text, allocation_bps int,
-- keys text[], lows int[], highs int[] (variants with their ranges of the variant bucket),
-- alive_since timestamptz (what has lived its time is passed over).
-- A row: read (events in this batch), tx and seq (position of the last one; null when none),
-- merged (units touched).
-- The first exposure by (time, position) gives arm and anchor; a unit seen in another arm keeps the
-- time of that. Only positions below the oldest transaction still running are read, so nothing that
-- commits later can lie before them. Index: ingest_event_position. The caller holds the
-- experiment's row.
WITH batch AS MATERIALIZED (
    SELECT tx, seq, subject AS unit, data ->> 'variant' AS variant,
           data ->> 'experiment' AS experiment,
           coalesce(data -> 'override' = 'true'::jsonb, false) AS override,
           least(occurred_at, received_at) AS at,
           occurred_at >= %(alive_since)s::timestamptz AS is_alive
    FROM ingest_event
    WHERE stream_id = %(stream_id)s
      AND (tx, seq) > (%(tx)s::text::xid8, %(seq)s)
      AND tx < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY tx, seq
    LIMIT %(batch)s
), counted AS (
    SELECT unit, variant, at, tx::text::bigint AS tx, seq
    FROM batch
    WHERE is_alive AND experiment = %(key)s AND NOT override AND at >= %(since)s
      AND unit <> '' AND length(variant) BETWEEN 1 AND 64
), placed AS (
    SELECT unit, variant, at, tx, seq, row_number() OVER w AS place,
           first_value(variant) OVER w AS first_variant
    FROM counted
    WINDOW w AS (PARTITION BY unit ORDER BY at, tx, seq)
), first AS MATERIALIZED (
    SELECT unit, max(variant) FILTER (WHERE place = 1) AS variant, min(at) AS at,
           max(tx) FILTER (WHERE place = 1) AS tx, max(seq) FILTER (WHERE place = 1) AS seq,
           count(*) AS times, min(at) FILTER (WHERE variant <> first_variant) AS crossed_at
    FROM placed
    GROUP BY unit
), merged AS (
    INSERT INTO experiments_exposure AS e
        (experiment_id, epoch, unit, variant, first_at, first_tx, first_seq, crossed_at, mismatch,
         times)
    SELECT %(experiment_id)s, %(epoch)s, f.unit, f.variant, f.at, f.tx, f.seq, f.crossed_at,
           NOT (h.alloc < %(allocation_bps)s AND EXISTS (
               SELECT 1
               FROM unnest(%(keys)s::text[], %(lows)s::int[], %(highs)s::int[]) AS v(key, low, high)
               WHERE v.key = f.variant AND h.place >= v.low AND h.place < v.high
           )),
           f.times
    FROM first AS f
    CROSS JOIN LATERAL (
        SELECT ('x' || substr(encode(sha256(convert_to(
                   'alloc:' || %(salt)s || ':' || f.unit, 'UTF8')), 'hex'), 1, 15)
               )::bit(60)::bigint %% 10000 AS alloc,
               ('x' || substr(encode(sha256(convert_to(
                   'variant:' || %(salt)s || ':' || f.unit, 'UTF8')), 'hex'), 1, 15)
               )::bit(60)::bigint %% 10000 AS place
    ) AS h
    ORDER BY f.unit
    ON CONFLICT (experiment_id, epoch, unit) DO UPDATE SET
        times = e.times + excluded.times,
        crossed_at = CASE
            WHEN excluded.variant = e.variant THEN least(e.crossed_at, excluded.crossed_at)
            WHEN (excluded.first_at, excluded.first_tx, excluded.first_seq)
                 < (e.first_at, e.first_tx, e.first_seq)
                THEN least(excluded.crossed_at, e.first_at)
            ELSE least(e.crossed_at, excluded.first_at)
        END,
        mismatch = CASE
            WHEN (excluded.first_at, excluded.first_tx, excluded.first_seq)
                 < (e.first_at, e.first_tx, e.first_seq) THEN excluded.mismatch
            ELSE e.mismatch
        END,
        (variant, first_at, first_tx, first_seq) = (
            SELECT s.variant, s.first_at, s.first_tx, s.first_seq
            FROM (VALUES (e.variant, e.first_at, e.first_tx, e.first_seq),
                         (excluded.variant, excluded.first_at, excluded.first_tx,
                          excluded.first_seq)
                 ) AS s(variant, first_at, first_tx, first_seq)
            ORDER BY s.first_at, s.first_tx, s.first_seq
            LIMIT 1
        )
    RETURNING 1
)
SELECT (SELECT count(*) FROM batch) AS read,
       (SELECT tx::text::bigint FROM batch ORDER BY tx DESC, seq DESC LIMIT 1) AS tx,
       (SELECT seq FROM batch ORDER BY tx DESC, seq DESC LIMIT 1) AS seq,
       (SELECT count(*) FROM merged) AS merged
