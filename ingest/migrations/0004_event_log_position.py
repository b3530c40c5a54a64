"""A tiny index for readers of the whole log: new events lie together by their transaction.

xid8 has no BRIN operator class, so the index is over the transaction as a whole number.
"""

from typing import ClassVar

from django.db import migrations


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [("ingest", "0003_catalog_notices")]
    operations: ClassVar[list[migrations.RunSQL]] = [
        migrations.RunSQL(
            "CREATE INDEX ingest_event_tx ON ingest_event USING brin ((tx::text::bigint)) "
            "WITH (pages_per_range = 32, autosummarize = on)",
            "DROP INDEX ingest_event_tx",
        )
    ]
