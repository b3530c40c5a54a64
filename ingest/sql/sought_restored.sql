-- The restored events of a stretch that may be about or name somebody who is sought.
-- Parameters: after_restore uuid, after_at timestamptz, after_id text, to_restore uuid, to_at
-- timestamptz, to_id text (the last one), texts text[] (in lower case, one of which stands in each;
-- null: all of the stretch). A row: an event, JSON as text. Index: the primary key.
SELECT event.restore_id AS holder, event.stream_id, event.track, event.occurred_at, event.event_id,
       event.received_at, event.producer_id, event.version, event.subject, event.source,
       event.attributes::text AS attributes, event.data::text AS data, event.data_base64,
       event.extra::text AS extra, event.marks
FROM ingest_restoredevent AS event
CROSS JOIN LATERAL (
    SELECT CASE WHEN %(texts)s::text[] IS NOT NULL THEN lower(concat_ws(
        ' ', event.subject, event.event_id, event.source, event.attributes::text,
        event.data::text, event.extra::text, encode(event.data_base64, 'escape')
    ) COLLATE "C") END AS said
    OFFSET 0
) AS whole
WHERE (event.restore_id, event.occurred_at, event.event_id)
      > (%(after_restore)s::uuid, %(after_at)s::timestamptz, %(after_id)s::text COLLATE "C")
  AND (event.restore_id, event.occurred_at, event.event_id)
      <= (%(to_restore)s::uuid, %(to_at)s::timestamptz, %(to_id)s::text COLLATE "C")
  AND (whole.said IS NULL OR EXISTS (
      SELECT 1 FROM unnest(%(texts)s::text[]) AS sought (text)
      WHERE strpos(whole.said, sought.text) > 0
  ))
