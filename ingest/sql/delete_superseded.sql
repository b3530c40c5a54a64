-- Deletes some of the listed events.
-- Parameters: first bigint, last bigint (exclusive): numbers of the list.
-- Row: none. Index: the identity index of the leaves. Locks: the rows deleted.
DELETE FROM ingest_event AS event
USING ingest_superseded AS listed
WHERE listed.n >= %(first)s AND listed.n < %(last)s
  AND event.track = listed.track AND event.stream_id = listed.stream_id
  AND event.occurred_at = listed.occurred_at AND event.event_id = listed.event_id
