-- Wait until nobody else makes a stream of this name through the registry; held until the
-- transaction ends. Parameters: name text. A row: none of use.
SELECT pg_advisory_xact_lock(hashtextextended('registry:' || %(name)s::text, 0))
