-- After a schema was imported under an id of its own: ids that are given go on above it.
-- Parameters: id integer. A row: none of use.
SELECT setval(
    pg_get_serial_sequence('catalog_registryschema', 'id'),
    greatest(%(id)s::bigint, (SELECT last_value FROM catalog_registryschema_id_seq))
)
