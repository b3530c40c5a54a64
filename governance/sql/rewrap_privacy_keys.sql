-- Keeps data keys as they were wrapped anew. One that was destroyed meanwhile stays so.
-- Parameters: arrays of equal length: ids bigint[], wrapped bytea[]; version int, the new one.
-- Index: primary key. Locks the rows, which the walk holds already.
UPDATE governance_privacykey AS key
SET version = %(version)s, wrapped = new.wrapped
FROM unnest(%(ids)s::bigint[], %(wrapped)s::bytea[]) AS new (id, wrapped)
WHERE key.id = new.id AND key.wrapped IS NOT NULL
