-- Inserts staged events that are new by identity, in the order of the unique index (no deadlocks).
-- Row: identity of an inserted event; occurred_us are microseconds since 1970.
-- Index: the unique (stream_id, occurred_at, event_id) of each leaf. Locks: rows only; waits for
-- another transaction that is inserting the same identity.
INSERT INTO ingest_event (
    stream_id, track, occurred_at, event_id, received_at, producer_id, version, subject, source,
    attributes, data, data_base64, extra, content_hash, marks
)
SELECT
    stream_id, track, occurred_at, event_id, received_at, producer_id, version, subject, source,
    attributes, data, data_base64, extra, content_hash, marks
FROM ingest_stage
ORDER BY stream_id, occurred_at, event_id
ON CONFLICT DO NOTHING
RETURNING stream_id, (extract(epoch FROM occurred_at) * 1000000)::bigint AS occurred_us, event_id
