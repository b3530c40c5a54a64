-- Keeps new tokens of values that have none, and gives the token of each value asked for.
-- Parameters: arrays of equal length: refs bytea[], tokens text[], purposes text[], sealed text[].
-- A row: ref, token. A value that another transaction adds at this moment is missing from the
-- answer: ask again. Index: primary key. Locks: the new rows, in key order.
WITH wanted AS (
    SELECT * FROM unnest(
        %(refs)s::bytea[], %(tokens)s::text[], %(purposes)s::text[], %(sealed)s::text[]
    ) AS new (ref, token, purpose, sealed)
), known AS (
    SELECT kept.ref, kept.token FROM governance_privacytoken AS kept JOIN wanted USING (ref)
), made AS (
    INSERT INTO governance_privacytoken (ref, token, purpose, sealed)
    SELECT ref, token, purpose, sealed FROM wanted
    WHERE NOT EXISTS (SELECT FROM known WHERE known.ref = wanted.ref)
    ORDER BY ref
    ON CONFLICT (ref) DO NOTHING
    RETURNING ref, token
)
SELECT ref, token FROM known UNION ALL SELECT ref, token FROM made
