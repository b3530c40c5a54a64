-- Wait for the advisory lock of a job and keep it until it is released or the connection ends.
-- Parameters: key bigint. A row: none of use.
SELECT pg_advisory_lock(%(key)s)
