-- Take units of an experiment away.
-- Parameters: experiment_id bigint, epochs int[], units text[] (of one length, a unit each).
-- Index: the primary key. Locks the rows that go; the caller holds the experiment.
DELETE FROM experiments_exposure AS gone
USING unnest(%(epochs)s::int[], %(units)s::text[]) AS meant (epoch, unit)
WHERE gone.experiment_id = %(experiment_id)s::bigint
  AND gone.epoch = meant.epoch AND gone.unit = meant.unit COLLATE "C"
