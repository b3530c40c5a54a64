-- Count the events of a span of whole transactions into windows of five minutes of event time.
-- Parameters: tx bigint, seq bigint (position read so far), last_tx bigint (read no further; below
-- the horizon, so that nothing that commits later can lie before what is read).
-- A row: read (events in this span), windows (touched), newest (object: time of the newest event by
-- stream).
-- Index: that over (stream_id, tx, seq), stream by stream, while streams are few; with thousands
-- ingest_event_tx (BRIN over tx::text::bigint). So the span is said in both forms; last_tx keeps the
-- scan short however much is still to be read. Events are counted as they are found, in no order:
-- to sort them and to cut at a number cost six times what counting does. The caller holds the
-- reader's offset row.
WITH found AS MATERIALIZED (
    SELECT stream_id,
        date_bin('5 minutes', occurred_at, '2000-01-01 00:00+00') AS start,
        count(*) AS events,
        max(occurred_at) AS newest
    FROM ingest_event
    WHERE tx::text::bigint BETWEEN %(tx)s AND %(last_tx)s
      AND tx >= %(tx)s::text::xid8 AND tx <= %(last_tx)s::text::xid8
      AND (tx > %(tx)s::text::xid8 OR seq > %(seq)s)
    GROUP BY 1, 2
), counted AS (
    INSERT INTO analytics_streamcount AS c (stream_id, start, events, revision)
    SELECT stream_id, start, events, 1 FROM found ORDER BY 1, 2
    ON CONFLICT (stream_id, start)
    DO UPDATE SET events = c.events + excluded.events, revision = c.revision + 1
    RETURNING 1
)
SELECT (SELECT coalesce(sum(events), 0)::bigint FROM found) AS read,
       (SELECT count(*) FROM counted) AS windows,
       (SELECT jsonb_object_agg(stream_id, newest)
        FROM (SELECT stream_id, max(newest) AS newest FROM found GROUP BY stream_id) AS n
       ) AS newest
