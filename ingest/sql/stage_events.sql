-- Makes the staging table of a writer's connection, emptied at each commit.
-- Row: an event as COPY wrote it, same columns and types as ingest_event without tx and seq.
-- Locks: none that another session sees.
CREATE TEMPORARY TABLE IF NOT EXISTS ingest_stage (
    stream_id    bigint       NOT NULL,
    track        smallint     NOT NULL,
    occurred_at  timestamptz  NOT NULL,
    event_id     text COLLATE "C" NOT NULL,
    received_at  timestamptz  NOT NULL,
    producer_id  bigint       NOT NULL,
    version      integer,
    subject      text,
    source       text         NOT NULL,
    attributes   jsonb        NOT NULL,
    data         jsonb,
    data_base64  bytea,
    extra        jsonb,
    content_hash bytea        NOT NULL,
    marks        smallint     NOT NULL
) ON COMMIT DELETE ROWS
