"""Refusals by reason, what was repaired before it was replayed, and histograms of latency."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("ingest", "0011_storage"),
    ]

    operations = [
        migrations.AddField(
            model_name="ingestminute",
            name="repaired",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.CreateModel(
            name="RefusalMinute",
            fields=[
                ("pk", models.CompositePrimaryKey("stream_id", "minute", "producer_id", "reason", blank=True, editable=False, primary_key=True, serialize=False)),
                ("stream_id", models.BigIntegerField()),
                ("minute", models.DateTimeField()),
                ("producer_id", models.BigIntegerField()),
                ("reason", models.CharField(db_collation="C", max_length=20)),
                ("events", models.BigIntegerField()),
            ],
            options={
                "indexes": [models.Index(fields=["minute"], name="ingest_refusal_minute")],
            },
        ),
        migrations.CreateModel(
            name="LatencyMinute",
            fields=[
                ("pk", models.CompositePrimaryKey("stream_id", "measure", "minute", "bucket", blank=True, editable=False, primary_key=True, serialize=False)),
                ("stream_id", models.BigIntegerField()),
                ("measure", models.SmallIntegerField()),
                ("minute", models.DateTimeField()),
                ("bucket", models.SmallIntegerField()),
                ("events", models.BigIntegerField()),
            ],
            options={
                "indexes": [models.Index(fields=["minute"], name="ingest_latency_minute")],
            },
        ),
    ]
