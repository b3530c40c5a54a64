"""Counts of who uses what is deprecated; ingest is told when a field's life is extended."""

from typing import ClassVar

from django.db import migrations, models

TELL = """
CREATE TRIGGER tell_ingest AFTER INSERT OR DELETE OR UPDATE ON catalog_fieldextension
    FOR EACH STATEMENT EXECUTE FUNCTION ingest_tell_of_change();
"""


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [
        ("ingest", "0005_dead_letter_body"),
        ("catalog", "0010_enforcement_ladder"),
    ]
    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        migrations.CreateModel(
            name="DeprecatedUse",
            fields=[
                ("pk", models.CompositePrimaryKey("stream_id", "day", "producer_id", "kind", "name", blank=True, editable=False, primary_key=True, serialize=False)),
                ("stream_id", models.BigIntegerField()),
                ("day", models.DateField()),
                ("producer_id", models.BigIntegerField()),
                ("kind", models.CharField(max_length=7)),
                ("name", models.CharField(db_collation="C", max_length=500)),
                ("events", models.BigIntegerField()),
                ("last_at", models.DateTimeField()),
            ],
            options={
                "indexes": [models.Index(fields=["producer_id", "day"], name="ingest_use_producer")],
            },
        ),
        migrations.RunSQL(TELL, "DROP TRIGGER tell_ingest ON catalog_fieldextension;"),
    ]
