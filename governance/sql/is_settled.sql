-- Whether every transaction that was open when another began is over.
-- Parameter: xid text, the number of that other one. A row: settled.
SELECT pg_snapshot_xmin(pg_current_snapshot()) > %(xid)s::text::xid8 AS settled
