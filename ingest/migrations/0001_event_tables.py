"""The partitioned tables of the event log.

Leaves are made by `ingest.log.partitions`, never here. The statements are written out because history
must not follow a file that changes.
"""

from typing import ClassVar

from django.db import migrations

EVENTS = """
CREATE SEQUENCE ingest_event_seq AS bigint CACHE 1;
CREATE TABLE ingest_event (
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
    marks        smallint     NOT NULL,
    tx           xid8         NOT NULL DEFAULT pg_current_xact_id(),
    seq          bigint       NOT NULL DEFAULT nextval('ingest_event_seq')
) PARTITION BY LIST (track);
CREATE TABLE ingest_event_production PARTITION OF ingest_event
    FOR VALUES IN (0) PARTITION BY RANGE (occurred_at);
CREATE TABLE ingest_event_experimental PARTITION OF ingest_event
    FOR VALUES IN (1) PARTITION BY RANGE (occurred_at);
CREATE UNIQUE INDEX ingest_event_production_identity
    ON ingest_event_production (stream_id, occurred_at, event_id);
CREATE UNIQUE INDEX ingest_event_experimental_identity
    ON ingest_event_experimental (stream_id, occurred_at, event_id);
CREATE INDEX ingest_event_position ON ingest_event (stream_id, tx, seq);
CREATE INDEX ingest_event_time ON ingest_event USING brin (occurred_at);
"""

LEDGER = """
CREATE TABLE ingest_event_ledger (
    stream_id    bigint      NOT NULL,
    event_id     text COLLATE "C" NOT NULL,
    occurred_at  timestamptz NOT NULL,
    content_hash bytea       NOT NULL,
    expires_at   timestamptz NOT NULL,
    PRIMARY KEY (stream_id, event_id)
);
CREATE INDEX ingest_event_ledger_expiry ON ingest_event_ledger (expires_at);
"""

DEAD_LETTERS = """
CREATE TABLE ingest_dead_letter (
    id           uuid        NOT NULL,
    received_at  timestamptz NOT NULL,
    stream_id    bigint,
    producer_id  bigint      NOT NULL,
    type         text        NOT NULL,
    event_id     text        NOT NULL,
    occurred_at  timestamptz,
    source       text        NOT NULL,
    reason       text        NOT NULL,
    errors       jsonb       NOT NULL,
    body         bytea       NOT NULL,
    content_type text        NOT NULL,
    body_sha256  bytea       NOT NULL,
    group_key    text        NOT NULL,
    state        text        NOT NULL DEFAULT 'open'
        CHECK (state IN ('open', 'replayed', 'discarded')),
    decided_at   timestamptz,
    decided_by   text,
    PRIMARY KEY (received_at, id)
) PARTITION BY RANGE (received_at);
CREATE INDEX ingest_dead_letter_id ON ingest_dead_letter (id);
CREATE INDEX ingest_dead_letter_group ON ingest_dead_letter (state, group_key, received_at);
CREATE INDEX ingest_dead_letter_stream ON ingest_dead_letter (stream_id, received_at);
"""


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = []
    operations: ClassVar[list[migrations.RunSQL]] = [
        migrations.RunSQL(
            EVENTS, "DROP TABLE ingest_event; DROP SEQUENCE ingest_event_seq"
        ),
        migrations.RunSQL(LEDGER, "DROP TABLE ingest_event_ledger"),
        migrations.RunSQL(DEAD_LETTERS, "DROP TABLE ingest_dead_letter"),
    ]
