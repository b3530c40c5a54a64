-- Deletes some of a stream's events of one day, the next ones after a place in their order.
-- Parameters: track smallint, stream_id bigint, after_at timestamptz, after_id text, end timestamptz
-- (exclusive), below_tx text (a transaction; only what earlier ones wrote), batch int.
-- One row: deleted bigint, last_at timestamptz and last_id text of the last one (null for none).
-- Index: the identity index of the one leaf that is left after pruning. Locks: the rows deleted.
WITH chosen AS MATERIALIZED (
    SELECT ctid AS place, occurred_at, event_id
    FROM ingest_event
    WHERE track = %(track)s AND stream_id = %(stream_id)s
      AND occurred_at >= %(after_at)s AND occurred_at < %(end)s
      AND (occurred_at, event_id) > (%(after_at)s, %(after_id)s)
      AND tx < %(below_tx)s::text::xid8
    ORDER BY occurred_at, event_id
    LIMIT %(batch)s
), gone AS (
    DELETE FROM ingest_event AS event
    WHERE event.track = %(track)s AND event.stream_id = %(stream_id)s
      AND event.occurred_at >= %(after_at)s AND event.occurred_at < %(end)s
      AND event.tx < %(below_tx)s::text::xid8
      AND event.ctid = ANY (ARRAY(SELECT place FROM chosen))
    RETURNING 1
)
SELECT (SELECT count(*) FROM gone) AS deleted, last.occurred_at AS last_at, last.event_id AS last_id
FROM (SELECT 1) AS always
LEFT JOIN (
    SELECT occurred_at, event_id FROM chosen ORDER BY occurred_at DESC, event_id DESC LIMIT 1
) AS last ON true
