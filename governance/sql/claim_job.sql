-- Claim the job that has been due longest: one that waits and does not rest, or that runs under a
-- lease that has passed. Work that rests between its steps goes behind what waited meanwhile.
-- Parameters: kinds text[], lease interval, track text (null: work on either).
-- A row: id, fence, attempts of the claimed job; none when nothing is due.
-- Index: job_due (what lives is few, and sorted). Locks the one row it claims, and skips rows that others hold.
WITH due AS (
    SELECT id
    FROM governance_job
    WHERE kind = ANY(%(kinds)s)
      AND (%(track)s::text IS NULL OR track = %(track)s::text)
      AND ((state = 'waiting' AND (due_at IS NULL OR due_at <= statement_timestamp()))
           OR (state = 'running' AND lease_until < now()))
    ORDER BY coalesce(due_at, created_at), created_at
    LIMIT 1
    FOR UPDATE SKIP LOCKED
)
UPDATE governance_job AS job
SET state = 'running', lease_until = now() + %(lease)s::interval, fence = fence + 1,
    attempts = attempts + 1, started_at = coalesce(started_at, now()), updated_at = now()
FROM due
WHERE job.id = due.id
RETURNING job.id, job.fence, job.attempts
