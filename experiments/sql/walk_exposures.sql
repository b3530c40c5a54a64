-- The units of an experiment in the order of their identity, after one.
-- Parameters: experiment_id bigint, after_epoch int, after_unit text (the place to go on from),
-- batch int. A row: epoch, unit, variant, first_at, crossed_at, times. Index: the primary key.
SELECT epoch, unit, variant, first_at, crossed_at, times
FROM experiments_exposure
WHERE experiment_id = %(experiment_id)s::bigint
  AND (epoch, unit) > (%(after_epoch)s::int, %(after_unit)s::text COLLATE "C")
ORDER BY epoch, unit
LIMIT %(batch)s::int
