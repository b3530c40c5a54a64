"""Accounts in slots: two connections that count for one stream and producer at a time met at its row, and
the second waited until the first had committed. Who reads adds the slots up, as it did the minutes.

A writer of an earlier version knows no slots and can't write beside this. Each step may be done again."""

from typing import ClassVar

from django.db import migrations, models

_KEY = models.CompositePrimaryKey(
    "stream_id", "minute", "producer_id", "slot",
    blank=True, editable=False, primary_key=True, serialize=False,
)  # fmt: skip
_ADD = """
ALTER TABLE ingest_ingestminute ADD COLUMN IF NOT EXISTS slot smallint NOT NULL DEFAULT 0
"""
_DROP = "ALTER TABLE ingest_ingestminute DROP COLUMN IF EXISTS slot"
# One that was cut short is there, and is not valid.
_UNMAKE = "DROP INDEX CONCURRENTLY IF EXISTS ingest_minute_slots"
_MAKE = """
CREATE UNIQUE INDEX CONCURRENTLY ingest_minute_slots
    ON ingest_ingestminute (stream_id, minute, producer_id, slot)
"""
_SWAP = """
ALTER TABLE ingest_ingestminute
    DROP CONSTRAINT ingest_ingestminute_pkey,
    ADD CONSTRAINT ingest_ingestminute_pkey PRIMARY KEY USING INDEX ingest_minute_slots
"""
_BACK = """
WITH slots AS (DELETE FROM ingest_ingestminute WHERE slot <> 0 RETURNING *)
INSERT INTO ingest_ingestminute AS kept (
    stream_id, minute, producer_id, received, accepted, duplicate, dead_lettered, invalid,
    violations, drift, replayed, repaired
)
SELECT stream_id, minute, producer_id, sum(received), sum(accepted), sum(duplicate),
       sum(dead_lettered), sum(invalid), sum(violations), sum(drift), sum(replayed), sum(repaired)
FROM slots
GROUP BY stream_id, minute, producer_id
ON CONFLICT (stream_id, minute, producer_id, slot) DO UPDATE SET
    received = kept.received + excluded.received,
    accepted = kept.accepted + excluded.accepted,
    duplicate = kept.duplicate + excluded.duplicate,
    dead_lettered = kept.dead_lettered + excluded.dead_lettered,
    invalid = kept.invalid + excluded.invalid,
    violations = kept.violations + excluded.violations,
    drift = kept.drift + excluded.drift,
    replayed = kept.replayed + excluded.replayed,
    repaired = kept.repaired + excluded.repaired;
ALTER TABLE ingest_ingestminute
    DROP CONSTRAINT ingest_ingestminute_pkey,
    ADD PRIMARY KEY (stream_id, minute, producer_id)
"""


class Migration(migrations.Migration):
    atomic = False
    dependencies: ClassVar[list[tuple[str, str]]] = [("ingest", "0016_at_size")]
    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        migrations.SeparateDatabaseAndState(
            [migrations.RunSQL(_ADD, _DROP)],
            [
                migrations.AddField(
                    "ingestminute", "slot", models.SmallIntegerField(default=0, db_default=0)
                )
            ],
        ),
        migrations.RunSQL(_UNMAKE, migrations.RunSQL.noop),
        migrations.RunSQL(_MAKE, migrations.RunSQL.noop),
        migrations.SeparateDatabaseAndState(
            [migrations.RunSQL(_SWAP, _BACK)],
            [migrations.AlterField("ingestminute", "pk", _KEY)],
        ),
    ]
