"""Quotas of streams, and of keys for streams; ingest is told when one changes."""

import django.db.models.deletion
from typing import ClassVar

from django.db import migrations, models

TELL = """
CREATE TRIGGER tell_ingest_of_quota AFTER UPDATE OF events_per_second ON catalog_stream
    FOR EACH STATEMENT EXECUTE FUNCTION ingest_tell_of_change();
CREATE TRIGGER tell_ingest AFTER INSERT OR DELETE OR UPDATE ON catalog_keystreamquota
    FOR EACH STATEMENT EXECUTE FUNCTION ingest_tell_of_change();
"""
TELL_NO_MORE = """
DROP TRIGGER tell_ingest ON catalog_keystreamquota;
DROP TRIGGER tell_ingest_of_quota ON catalog_stream;
"""


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [
        ("catalog", "0013_retention"),
        ("governance", "0009_key_uses"),
        ("ingest", "0003_catalog_notices"),  # the function that tells
    ]
    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        migrations.AddField(
            model_name="stream",
            name="events_per_second",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.CreateModel(
            name="KeyStreamQuota",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("events_per_second", models.PositiveIntegerField()),
                ("key", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="stream_quotas", to="governance.key")),
                ("stream", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="key_quotas", to="catalog.stream")),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("key", "stream"), name="key_stream_quota_once")],
            },
        ),
        migrations.RunSQL(TELL, TELL_NO_MORE),
    ]
