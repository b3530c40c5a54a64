-- Store what an evaluation found: the checks' new states and their day's worst level.
-- Parameters: rows jsonb (array of objects), at timestamptz. A row: none.
-- Locks the checks in stream order, so that two evaluations cannot wait in a circle.
WITH given AS (
    SELECT * FROM jsonb_to_recordset(%(rows)s::jsonb) AS r(
        stream_id bigint, kind text, state text, history smallint[], clean_runs int, critical_runs int,
        since_remediation int, level smallint, value float8, expected float8, sentence text)
), stored AS (
    INSERT INTO quality_check AS c (stream_id, kind, state, history, clean_runs, critical_runs,
        since_remediation, level, value, expected, sentence, evaluated_at, changed_at)
    SELECT stream_id, kind, state, coalesce(history, '{}'), clean_runs, critical_runs, since_remediation,
           level, value, expected, sentence, %(at)s, %(at)s
    FROM given ORDER BY stream_id, kind
    ON CONFLICT (stream_id, kind) DO UPDATE SET
        state = excluded.state, history = excluded.history, clean_runs = excluded.clean_runs,
        critical_runs = excluded.critical_runs, since_remediation = excluded.since_remediation,
        level = excluded.level, value = excluded.value, expected = excluded.expected,
        sentence = excluded.sentence, evaluated_at = excluded.evaluated_at,
        changed_at = CASE WHEN c.state = excluded.state THEN c.changed_at
                          ELSE excluded.changed_at END
    RETURNING 1
)
INSERT INTO quality_checkday AS d (stream_id, kind, day, worst, evaluations, breaches)
SELECT stream_id, kind, (%(at)s::timestamptz AT TIME ZONE 'UTC' - interval '1 microsecond')::date,
       level, 1, (level > 0)::int
FROM given WHERE level IS NOT NULL
ORDER BY stream_id, kind
ON CONFLICT (stream_id, kind, day) DO UPDATE SET
    worst = greatest(d.worst, excluded.worst),
    evaluations = d.evaluations + 1,
    breaches = d.breaches + excluded.breaches
