-- Drops some claims of identities that have expired.
-- Parameters: batch int. Row: none. Index: ingest_event_ledger_expiry. Locks: the rows dropped.
DELETE FROM ingest_event_ledger
WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM ingest_event_ledger
    WHERE expires_at < now() - interval '1 hour'
    ORDER BY expires_at
    LIMIT %(batch)s
))
