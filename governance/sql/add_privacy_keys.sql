-- Makes the data keys that are not there yet, and gives all that were asked for.
-- Parameters: arrays of equal length: refs bytea[], wrapped bytea[], versions int[].
-- A row: id, ref, wrapped (null when destroyed), version. A key that another transaction makes at
-- this moment is missing from the answer: ask again. Index: the unique one on ref.
WITH wanted AS (
    SELECT * FROM unnest(%(refs)s::bytea[], %(wrapped)s::bytea[], %(versions)s::int[])
        AS new (ref, wrapped, version)
), known AS (
    SELECT key.id, key.ref, key.wrapped, key.version
    FROM governance_privacykey AS key JOIN wanted USING (ref)
), made AS (
    INSERT INTO governance_privacykey (ref, wrapped, version)
    SELECT ref, wrapped, version FROM wanted
    WHERE NOT EXISTS (SELECT FROM known WHERE known.ref = wanted.ref)
    ORDER BY ref
    ON CONFLICT (ref) DO NOTHING
    RETURNING id, ref, wrapped, version
)
SELECT id, ref, wrapped, version FROM known
UNION ALL SELECT id, ref, wrapped, version FROM made
