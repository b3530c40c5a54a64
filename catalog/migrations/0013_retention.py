"""How a stream is kept beyond its days: archived before it goes, compacted as state."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [("catalog", "0012_stream_privacy")]
    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        migrations.AddField(
            model_name="stream",
            name="archive",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name="stream",
            name="is_state",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name="stream",
            name="state_key",
            field=models.CharField(blank=True, db_default="", default="", max_length=255),
        ),
    ]
