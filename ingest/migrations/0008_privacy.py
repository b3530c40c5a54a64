"""Ingest is told when a stream's privacy changes; what a detector suspects to be personal."""

from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models

TELL = """
CREATE TRIGGER tell_ingest_of_privacy AFTER UPDATE OF subject_privacy, minimise ON catalog_stream
    FOR EACH STATEMENT EXECUTE FUNCTION ingest_tell_of_change();
"""


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [
        ("ingest", "0007_positions_by_the_hundred"),
        ("catalog", "0012_stream_privacy"),
    ]
    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        migrations.CreateModel(
            name="PrivacyScan",
            fields=[
                ("stream", models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, serialize=False, to="catalog.stream")),
                ("until", models.DateTimeField()),
                ("scanned_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="PrivacySuggestion",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("path", models.CharField(db_collation="C", max_length=500)),
                ("kind", models.CharField(max_length=20)),
                ("events", models.BigIntegerField(default=0)),
                ("hits", models.BigIntegerField(default=0)),
                ("first_seen_at", models.DateTimeField()),
                ("last_seen_at", models.DateTimeField()),
                ("state", models.CharField(choices=[("open", "Open"), ("accepted", "Accepted"), ("dismissed", "Dismissed")], default="open", max_length=9)),
                ("reason", models.TextField(blank=True, default="")),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                ("decided_by", models.CharField(blank=True, default="", max_length=254)),
                ("stream", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="suggestions", to="catalog.stream")),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("stream", "path", "kind"), name="suggestion_once"),
                    models.CheckConstraint(condition=models.Q(("hits__lte", models.F("events"))), name="suggestion_share"),
                ],
            },
        ),
        migrations.RunSQL(TELL, "DROP TRIGGER tell_ingest_of_privacy ON catalog_stream;"),
    ]
