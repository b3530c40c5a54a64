-- The transaction below which everything has ended: what it wrote is visible or was undone.
-- One row: tx bigint. Index: none. Locks: none.
SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS tx
