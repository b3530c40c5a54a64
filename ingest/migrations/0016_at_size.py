"""Indexes for what was read by going through a whole table: a producer's use, what waits for a type,
what was done about a group. None holds a column that is counted up, so updates stay in their page."""

from typing import ClassVar

import django.contrib.postgres.indexes
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

WAITING = """
CREATE INDEX CONCURRENTLY IF NOT EXISTS ingest_lettertotal_waiting
    ON ingest_lettertotal (type) WHERE reason = 'unknown_stream'
"""


class Migration(migrations.Migration):
    atomic = False
    dependencies: ClassVar[list[tuple[str, str]]] = [("ingest", "0015_synthetic_parts")]
    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        AddIndexConcurrently(
            "ingestminute",
            models.Index(fields=["producer_id", "minute"], name="ingest_minute_producer"),
        ),
        AddIndexConcurrently(
            "repair",
            django.contrib.postgres.indexes.GinIndex(
                fields=["group_keys"], name="repair_groups", opclasses=["jsonb_path_ops"]
            ),
        ),
        migrations.RunSQL(WAITING, "DROP INDEX CONCURRENTLY IF EXISTS ingest_lettertotal_waiting"),
    ]
