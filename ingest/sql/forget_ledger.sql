-- Drops claims of identities that have expired.
-- Row: none. Index: ingest_event_ledger_expiry. Locks: the rows dropped.
DELETE FROM ingest_event_ledger WHERE expires_at < now() - interval '1 hour'
