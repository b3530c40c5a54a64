-- Who was erased, up to when what is about them is refused for good, and whether that is still under way.
-- No parameters. A row: mark, erased_at, is_running. The whole table: it is small, and read when it has
-- changed.
SELECT tombstone.mark, tombstone.erased_at, erasure.state = 'running' AS is_running
FROM governance_tombstone AS tombstone
JOIN governance_erasure AS erasure ON erasure.id = tombstone.erasure_id
