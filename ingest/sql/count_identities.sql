-- About how many identities the ledger holds, as the planner last counted them.
-- No parameters. One row: n_rows bigint.
SELECT greatest(reltuples, 0)::bigint AS n_rows FROM pg_class
WHERE relname = 'ingest_event_ledger' AND relnamespace = current_schema()::regnamespace
