-- Sufficient statistics of one metric by arm as of a moment (statistics §2.3, §3.1 to §3.3, §3.6, §4).
-- Parameters: experiment_id bigint, epoch int, stream_id bigint, since timestamptz (start of the
-- experiment), as_of timestamptz (exclusive), delay interval, length interval (null: to the end),
-- type text, path text[] (empty: events are counted), filter jsonb (null: all), cap_at float8
-- (null: not winsorized), before interval (null: no pre-period),
-- alive_since, value_since and filter_since timestamptz (events, the value and what is filtered by
-- may be read from then on).
-- A row: variant, n (units that count: exposed in one arm only and, with a window, mature), total,
-- squares, raw_total (before the cap), nonzero, capped, x_total, x_squares, xy (pre-period value),
-- cap, hits (events), misses (events without a number at the path).
-- An event counts from the anchor plus the delay, before the window or the moment ends; its time is
-- the earlier of its own and its receipt. Units without events count as 0.
-- Index: the identity index of the partitions, by stream and time.
WITH units AS (
    SELECT unit, variant, first_at
    FROM experiments_exposure
    WHERE experiment_id = %(experiment_id)s AND epoch = %(epoch)s AND first_at < %(as_of)s
      AND (crossed_at IS NULL OR crossed_at >= %(as_of)s)
      AND (%(length)s::interval IS NULL
           OR first_at + %(delay)s::interval + %(length)s::interval <= %(as_of)s)
), events AS (
    SELECT subject AS unit, least(occurred_at, received_at) AS at,
           CASE WHEN occurred_at >= %(value_since)s::timestamptz
                     AND jsonb_typeof(data #> %(path)s::text[]) = 'number'
                THEN (data #>> %(path)s::text[])::float8 END AS value
    FROM ingest_event
    WHERE stream_id = %(stream_id)s AND occurred_at >= %(alive_since)s::timestamptz
      AND occurred_at >= %(since)s::timestamptz - coalesce(%(before)s::interval, interval '0')
      AND occurred_at < %(as_of)s::timestamptz + interval '1 day'
      AND subject IS NOT NULL
      AND (%(filter)s::jsonb IS NULL
           OR (occurred_at >= %(filter_since)s::timestamptz AND data @> %(filter)s::jsonb))
), found AS (
    SELECT u.unit,
           count(*) FILTER (WHERE w.after) AS hits,
           count(*) FILTER (WHERE w.after AND e.value IS NULL) AS misses,
           sum(e.value) FILTER (WHERE w.after) AS total,
           count(*) FILTER (WHERE w.before) AS x_hits,
           sum(e.value) FILTER (WHERE w.before) AS x_total
    FROM units AS u
    JOIN events AS e ON e.unit = u.unit
    CROSS JOIN LATERAL (
        SELECT e.at >= u.first_at + %(delay)s::interval
               AND e.at < least(%(as_of)s::timestamptz,
                                u.first_at + %(delay)s::interval + %(length)s::interval) AS after,
               coalesce(e.at >= u.first_at - %(before)s::interval AND e.at < u.first_at, false)
                   AS before
    ) AS w
    WHERE w.after OR w.before
    GROUP BY u.unit
), by_unit AS (
    SELECT u.variant,
           CASE %(type)s WHEN 'proportion' THEN (coalesce(f.hits, 0) > 0)::int::float8
                WHEN 'count' THEN coalesce(f.hits, 0)::float8
                ELSE coalesce(f.total, 0) END AS y,
           CASE %(type)s WHEN 'proportion' THEN (coalesce(f.x_hits, 0) > 0)::int::float8
                WHEN 'count' THEN coalesce(f.x_hits, 0)::float8
                ELSE coalesce(f.x_total, 0) END AS x,
           coalesce(f.hits, 0) AS hits,
           coalesce(f.misses, 0) AS misses
    FROM units AS u
    LEFT JOIN found AS f ON f.unit = u.unit
), cap AS (
    SELECT CASE WHEN found > 0 THEN found END AS value
    FROM (
        SELECT percentile_cont(%(cap_at)s::float8) WITHIN GROUP (ORDER BY y) AS found FROM by_unit
    ) AS p
), capped AS (
    SELECT b.variant, least(b.y, c.value) AS y, b.y AS raw, b.x, b.hits, b.misses,
           coalesce(b.y > c.value, false) AS is_capped
    FROM by_unit AS b
    CROSS JOIN cap AS c
)
SELECT variant, count(*) AS n, sum(y) AS total, sum(y * y) AS squares, sum(raw) AS raw_total,
       count(*) FILTER (WHERE y <> 0) AS nonzero, count(*) FILTER (WHERE is_capped) AS capped,
       sum(x) AS x_total, sum(x * x) AS x_squares, sum(x * y) AS xy,
       (SELECT value FROM cap) AS cap, sum(hits)::bigint AS hits, sum(misses)::bigint AS misses
FROM capped
GROUP BY variant
ORDER BY variant
