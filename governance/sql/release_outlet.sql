-- Give an outlet back: after a failure it waits, twice as long each time.
-- Parameters: key text; fence bigint; error text, empty where all went well; least, most interval.
-- Touches no row where another process has the outlet by now. Locks: the outlet's row.
UPDATE governance_auditoutlet SET
    lease_until = NULL,
    error = CASE WHEN %(error)s::text = '' THEN error ELSE %(error)s::text END,
    failed_at = CASE WHEN %(error)s::text = '' THEN failed_at ELSE statement_timestamp() END,
    failures = failures + (%(error)s::text <> '')::int,
    due_at = CASE WHEN %(error)s::text = '' THEN due_at
        ELSE statement_timestamp() + least(%(least)s::interval * power(2, least(failures, 20)), %(most)s::interval) END
WHERE key = %(key)s::text AND fence = %(fence)s::bigint
