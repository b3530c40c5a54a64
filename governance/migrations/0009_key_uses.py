"""What keys send and are refused: by minute for their owners, by reason for /metrics."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [("governance", "0008_privacy_vault")]
    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        migrations.CreateModel(
            name="KeyMinute",
            fields=[
                ("pk", models.CompositePrimaryKey("key_id", "minute", blank=True, editable=False, primary_key=True, serialize=False)),
                ("key_id", models.CharField(db_collation="C", max_length=8)),
                ("minute", models.DateTimeField()),
                ("events", models.BigIntegerField(default=0)),
                ("quota_key", models.BigIntegerField(default=0)),
                ("quota_stream", models.BigIntegerField(default=0)),
                ("busy", models.BigIntegerField(default=0)),
            ],
            options={"indexes": [models.Index(fields=["minute"], name="key_minute_minute")]},
        ),
        migrations.CreateModel(
            name="RefusalTotal",
            fields=[
                ("reason", models.CharField(db_collation="C", max_length=20, primary_key=True, serialize=False)),
                ("requests", models.BigIntegerField(default=0)),
            ],
        ),
    ]
