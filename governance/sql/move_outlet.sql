-- Write down that the receiver of an outlet took every row up to a number, and keep the outlet.
-- Parameters: key text; fence, before, upto bigint; lease interval. Touches no row where another
-- process has the outlet by now. Locks: the outlet's row.
UPDATE governance_auditoutlet SET
    upto_seq = %(upto)s::bigint, taken_at = statement_timestamp(), error = '', failed_at = NULL, failures = 0,
    lease_until = statement_timestamp() + %(lease)s::interval
WHERE key = %(key)s::text AND fence = %(fence)s::bigint AND upto_seq = %(before)s::bigint
