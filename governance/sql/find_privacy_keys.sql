-- Data keys by id, those that were not destroyed.
-- Parameter: ids bigint[]. A row: id, ref, wrapped, version. Index: primary key.
SELECT id, ref, wrapped, version FROM governance_privacykey
WHERE id = ANY(%(ids)s::bigint[]) AND wrapped IS NOT NULL
