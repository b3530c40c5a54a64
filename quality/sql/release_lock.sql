-- Give back the advisory lock that this connection holds.
-- Parameters: key bigint. A row: released.
SELECT pg_advisory_unlock(%(key)s) AS released
