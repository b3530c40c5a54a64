-- About how many events, or dead letters, there are, as the planner last counted them.
-- Parameters: parents text[], names of partitioned tables. One row: n_rows bigint.
SELECT coalesce(sum(greatest(leaf.reltuples, 0)), 0)::bigint AS n_rows
FROM pg_inherits
JOIN pg_class AS leaf ON leaf.oid = inhrelid
JOIN pg_class AS parent ON parent.oid = inhparent
WHERE parent.relname = ANY(%(parents)s::text[])
  AND parent.relnamespace = current_schema()::regnamespace
