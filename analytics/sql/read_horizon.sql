-- The position below which the log is complete: the oldest transaction still running.
-- Parameters: none. A row: tx (nothing that commits from now on has a lower one).
SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS tx
