-- The events of a stretch of one day that may be about or name somebody who is sought.
-- Parameters: track smallint, start timestamptz, end timestamptz (exclusive), after_stream bigint,
-- after_at timestamptz, after_id text, to_stream bigint, to_at timestamptz, to_id text (the last one),
-- texts text[] (in lower case, one of which stands in each; null: all of the stretch).
-- A row: an event, JSON as text. Index: the identity index of the one leaf.
SELECT event.stream_id AS holder, event.stream_id, event.track, event.occurred_at, event.event_id,
       event.received_at, event.producer_id, event.version, event.subject, event.source,
       event.attributes::text AS attributes, event.data::text AS data, event.data_base64,
       event.extra::text AS extra, event.marks
FROM ingest_event AS event
CROSS JOIN LATERAL (
    SELECT CASE WHEN %(texts)s::text[] IS NOT NULL THEN lower(concat_ws(
        ' ', event.subject, event.event_id, event.source, event.attributes::text,
        event.data::text, event.extra::text, encode(event.data_base64, 'escape')
    ) COLLATE "C") END AS said
    OFFSET 0
) AS whole
WHERE event.track = %(track)s::smallint
  AND event.occurred_at >= %(start)s::timestamptz AND event.occurred_at < %(end)s::timestamptz
  AND (event.stream_id, event.occurred_at, event.event_id)
      > (%(after_stream)s::bigint, %(after_at)s::timestamptz, %(after_id)s::text COLLATE "C")
  AND (event.stream_id, event.occurred_at, event.event_id)
      <= (%(to_stream)s::bigint, %(to_at)s::timestamptz, %(to_id)s::text COLLATE "C")
  AND (whole.said IS NULL OR EXISTS (
      SELECT 1 FROM unnest(%(texts)s::text[]) AS sought (text)
      WHERE strpos(whole.said, sought.text) > 0
  ))
