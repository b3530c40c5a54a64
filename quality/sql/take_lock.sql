-- Wait for the advisory lock of a job; it ends with the transaction.
-- Parameters: key bigint. A row: none of use.
SELECT pg_advisory_xact_lock(%(key)s)
