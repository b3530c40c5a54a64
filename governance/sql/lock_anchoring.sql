-- Whether this transaction is the one that signs the audit chain, until it ends.
-- Parameters: none. Row: taken. Locks: an advisory one.
SELECT pg_try_advisory_xact_lock(hashtextextended('governance: audit anchors', 0)) AS taken
