"""The tables of the naive view (`benchmarks/naive.py`), apart because that module starts Django."""

TABLES = """
CREATE TABLE IF NOT EXISTS bench_naive (
    type text NOT NULL, time timestamptz NOT NULL, id text NOT NULL, source text NOT NULL,
    subject text, attributes jsonb NOT NULL, data jsonb NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (type, time, id)
);
CREATE TABLE IF NOT EXISTS bench_naive_key (digest bytea PRIMARY KEY, name text NOT NULL)
"""
