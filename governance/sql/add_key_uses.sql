-- Adds what keys sent and were refused to their counts by minute, and to the totals by reason.
-- Parameters: arrays of equal length, one element per (key, minute): keys text[], minutes
-- timestamptz[], and bigint[] events, quota_key, quota_stream, busy (requests refused, by reason).
-- Row: none. Index: primary keys. Locks: the touched rows, in key order, until commit.
WITH new AS (
    SELECT * FROM unnest(
        %(keys)s::text[], %(minutes)s::timestamptz[], %(events)s::bigint[],
        %(quota_key)s::bigint[], %(quota_stream)s::bigint[], %(busy)s::bigint[]
    ) AS new (key_id, minute, events, quota_key, quota_stream, busy)
), counted AS (
    INSERT INTO governance_keyminute AS kept (
        key_id, minute, events, quota_key, quota_stream, busy
    )
    SELECT key_id, minute, events, quota_key, quota_stream, busy FROM new
    ORDER BY key_id COLLATE "C", minute
    ON CONFLICT (key_id, minute) DO UPDATE SET
        events = kept.events + excluded.events,
        quota_key = kept.quota_key + excluded.quota_key,
        quota_stream = kept.quota_stream + excluded.quota_stream,
        busy = kept.busy + excluded.busy
)
INSERT INTO governance_refusaltotal AS kept (reason, requests)
SELECT reason, sum(requests)::bigint
FROM new, LATERAL (
    VALUES ('busy', busy), ('quota_key', quota_key), ('quota_stream', quota_stream)
) AS refused (reason, requests)
GROUP BY reason
HAVING sum(requests) > 0
ORDER BY reason
ON CONFLICT (reason) DO UPDATE SET requests = kept.requests + excluded.requests
