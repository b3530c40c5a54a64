"""Runs of synthetic events that people start and workers send."""

from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models

import portal.kernel.clock
import portal.kernel.identifiers


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [
        ("catalog", "0014_quotas"),
        ("ingest", "0013_letter_counts"),
    ]
    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        migrations.CreateModel(
            name="SyntheticRun",
            fields=[
                ("id", models.UUIDField(default=portal.kernel.identifiers.uuid7, editable=False, primary_key=True, serialize=False)),
                ("plan", models.JSONField()),
                ("learned", models.JSONField(default=dict)),
                ("is_learned", models.BooleanField(default=False)),
                ("position", models.BigIntegerField(default=0)),
                ("total", models.BigIntegerField()),
                ("sent", models.BigIntegerField(default=0)),
                ("outcome", models.JSONField(default=list)),
                ("misses", models.JSONField(default=list)),
                ("key_id", models.CharField(max_length=8)),
                ("started_by", models.CharField(max_length=254)),
                ("started_by_user", models.BigIntegerField(default=0)),
                ("started_at", models.DateTimeField(default=portal.kernel.clock.now)),
                ("stream", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="+", to="catalog.stream")),
            ],
            options={
                "indexes": [
                    models.Index(fields=["-started_at", "id"], name="synthetic_run_newest"),
                    models.Index(fields=["stream", "-started_at"], name="synthetic_run_stream"),
                ],
            },
        ),
    ]
