-- Who used what is deprecated in the days since one, most events first.
-- Parameters: stream_id bigint or null for all, producer_id bigint or null for all, kind text,
-- since date.
-- A row: stream_id, producer_id, producer, name, events, last_at; a producer that is gone has the
-- name null. Index: primary key, or ingest_use_producer.
SELECT used.stream_id, used.producer_id, producer.name AS producer, used.name,
       sum(used.events)::bigint AS events, max(used.last_at) AS last_at
FROM ingest_deprecateduse AS used
LEFT JOIN catalog_producer AS producer ON producer.id = used.producer_id
WHERE used.kind = %(kind)s AND used.day >= %(since)s
  AND (%(stream_id)s::bigint IS NULL OR used.stream_id = %(stream_id)s)
  AND (%(producer_id)s::bigint IS NULL OR used.producer_id = %(producer_id)s)
GROUP BY 1, 2, 3, 4
ORDER BY events DESC, used.stream_id, used.name, producer
