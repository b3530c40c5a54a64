-- Events per step for several streams, zeros included.
-- Parameters: ids bigint[], start timestamptz, end timestamptz (exclusive), step interval, origin
-- timestamptz (a step begins there).
-- A row: stream_id, start, events; by stream, oldest first. Index: the primary key of the counts.
SELECT s.stream_id, g.start, coalesce(c.events, 0) AS events
FROM unnest(%(ids)s::bigint[]) AS s(stream_id)
CROSS JOIN generate_series(
    date_bin(%(step)s, %(start)s, %(origin)s::timestamptz),
    %(end)s::timestamptz - interval '1 microsecond',
    %(step)s::interval
) AS g(start)
LEFT JOIN (
    SELECT stream_id, date_bin(%(step)s, start, %(origin)s::timestamptz) AS start,
           sum(events) AS events
    FROM analytics_streamcount
    WHERE stream_id = ANY (%(ids)s::bigint[])
      AND start >= date_bin(%(step)s, %(start)s, %(origin)s::timestamptz) AND start < %(end)s
    GROUP BY 1, 2
) AS c ON c.stream_id = s.stream_id AND c.start = g.start
ORDER BY s.stream_id, g.start
