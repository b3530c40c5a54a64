-- Who was erased, and up to when what is about them is refused for good.
-- No parameters. A row: mark, erased_at. The whole table: it is small, and read when it has changed.
SELECT mark, erased_at FROM governance_tombstone
