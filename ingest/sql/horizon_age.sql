-- How long the oldest transaction has been running that may still write, for which readers of the log
-- wait; 0 without one.
-- Row: one, seconds. Reads the server's list of sessions: what belongs to others shows its age too.
SELECT coalesce(extract(epoch FROM max(clock_timestamp() - xact_start)), 0)::float AS seconds
FROM pg_stat_activity
WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()
