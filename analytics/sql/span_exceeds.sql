-- Whether a span of whole transactions holds more events than a number; reads no more than these.
-- Parameters: tx bigint, last_tx bigint (the span: after tx, up to last_tx), most bigint.
-- A row: exceeds (boolean). Index: as roll_up_counts.sql.
SELECT count(*) > %(most)s AS exceeds
FROM (
    SELECT FROM ingest_event
    WHERE tx::text::bigint BETWEEN %(tx)s AND %(last_tx)s
      AND tx > %(tx)s::text::xid8 AND tx <= %(last_tx)s::text::xid8
    LIMIT %(most)s + 1
) AS few
