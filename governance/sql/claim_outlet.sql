-- Take an outlet of the audit log for this process, if it is due and nobody holds it.
-- Parameters: key text; lease interval. Row: fence, upto_seq; none where it is not to be taken.
-- Locks: the outlet's row, which is left out where another process has it.
UPDATE governance_auditoutlet SET fence = fence + 1, lease_until = statement_timestamp() + %(lease)s::interval
WHERE key = (
    SELECT key FROM governance_auditoutlet
    WHERE key = %(key)s::text AND due_at <= statement_timestamp() AND (lease_until IS NULL OR lease_until < statement_timestamp())
    FOR UPDATE SKIP LOCKED
)
RETURNING fence, upto_seq
