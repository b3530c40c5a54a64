-- One event, held by this transaction until it ends, so that nobody changes it meanwhile.
-- Parameters: track smallint, holder bigint (the stream), occurred_at timestamptz, event_id text.
-- A row: as of sought_events. Index: the identity index of one leaf. Locks: the event.
SELECT stream_id AS holder, stream_id, track, occurred_at, event_id, received_at, producer_id,
       version, subject, source, attributes::text AS attributes, data::text AS data, data_base64,
       extra::text AS extra, marks
FROM ingest_event
WHERE track = %(track)s::smallint AND stream_id = %(holder)s::bigint
  AND occurred_at = %(occurred_at)s::timestamptz AND event_id = %(event_id)s::text COLLATE "C"
FOR UPDATE
