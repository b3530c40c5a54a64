"""What the keys of consumers were given of streams, by field and day."""

from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [("catalog", "0019_grants_of_keys")]
    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        migrations.CreateModel(
            name="ObservedRead",
            fields=[
                ("pk", models.CompositePrimaryKey("stream_id", "path", "consumer_id", "day", blank=True, editable=False, primary_key=True, serialize=False)),
                ("path", models.CharField(db_collation="C", max_length=500)),
                ("day", models.DateField()),
                ("events", models.BigIntegerField()),
                ("last_at", models.DateTimeField()),
                ("consumer", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="observed_reads", to="catalog.consumer")),
                ("stream", models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="observed_reads", to="catalog.stream")),
            ],
            options={
                "indexes": [models.Index(fields=["day"], name="observed_read_day")],
            },
        ),
    ]
