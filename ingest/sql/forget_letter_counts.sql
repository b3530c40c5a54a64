-- Takes the counts of dead letters whose days are over off the totals of their groups.
-- Parameters: before date (exclusive).
-- Row: none. Index: ingest_lettercount_day, then the key of the totals.
-- Locks: the rows of both, until commit.
WITH gone AS (
    DELETE FROM ingest_lettercount
    WHERE day < %(before)s::date
    RETURNING group_key, state, stream_id, letters
), summed AS (
    SELECT group_key, state, stream_id, sum(letters) AS letters
    FROM gone
    GROUP BY 1, 2, 3
)
UPDATE ingest_lettertotal AS total
SET letters = total.letters - summed.letters,
    first_at = greatest(total.first_at, (%(before)s::date)::timestamp AT TIME ZONE 'UTC')
FROM summed
WHERE total.group_key = summed.group_key AND total.state = summed.state
    AND total.stream_id = summed.stream_id
