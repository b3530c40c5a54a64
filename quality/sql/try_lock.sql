-- Take the advisory lock of a job until the transaction ends, or say that somebody else has it.
-- Parameters: key bigint. A row: taken.
SELECT pg_try_advisory_xact_lock(%(key)s) AS taken
