-- Units by arm as of a moment.
-- Parameters: experiment_id bigint, epoch int, as_of timestamptz (exclusive).
-- A row: variant, first (units whose first exposure it was), crossed (of them, seen in another arm
-- as well), mismatched (of them, not in the arm that assignment gives), times (exposures).
-- Index: exposure_by_time.
SELECT variant,
       count(*) AS first,
       count(*) FILTER (WHERE crossed_at < %(as_of)s) AS crossed,
       count(*) FILTER (WHERE mismatch) AS mismatched,
       sum(times) AS times
FROM experiments_exposure
WHERE experiment_id = %(experiment_id)s AND epoch = %(epoch)s AND first_at < %(as_of)s
GROUP BY variant
ORDER BY variant
