-- The number of the newest row of the audit chain, as who appends counts them.
-- Parameters: none. Row: seq. Locks: none.
SELECT seq FROM governance_audit_head
