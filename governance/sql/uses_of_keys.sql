-- What keys sent and were refused in the last minute, hour and day.
-- Parameters: keys text[], now timestamptz.
-- A row: key_id, name (minute, hour, day), events, quota_key, quota_stream, busy (requests refused),
-- busiest (events of its busiest minute), refused_at (the last minute with a refusal, or null). The
-- minute is the last whole one. Keys without a count in the day absent. Index: primary key.
SELECT key_id, span.name,
       sum(events)::bigint AS events,
       sum(quota_key)::bigint AS quota_key,
       sum(quota_stream)::bigint AS quota_stream,
       sum(busy)::bigint AS busy,
       max(events)::bigint AS busiest,
       max(minute) FILTER (WHERE quota_key + quota_stream + busy > 0) AS refused_at
FROM (VALUES ('minute', 1), ('hour', 60), ('day', 1440)) AS span (name, minutes)
JOIN governance_keyminute
    ON key_id = ANY (%(keys)s::text[])
    AND (minute < date_trunc('minute', %(now)s::timestamptz) OR span.name = 'day')
    AND minute >= date_trunc('minute', %(now)s::timestamptz)
                  - make_interval(mins => span.minutes)
GROUP BY key_id, span.name
