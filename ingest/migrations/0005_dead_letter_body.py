"""An index that finds the dead letter which the same refused event left before."""

from typing import ClassVar

from django.db import migrations


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [("ingest", "0004_event_log_position")]
    operations: ClassVar[list[migrations.RunSQL]] = [
        migrations.RunSQL(
            "CREATE INDEX ingest_dead_letter_body ON ingest_dead_letter (body_sha256)",
            "DROP INDEX ingest_dead_letter_body",
        )
    ]
