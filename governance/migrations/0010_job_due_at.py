"""Work may rest between two steps: a worker comes back to it when it is due."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [("governance", "0009_key_uses")]
    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        migrations.AddField(
            model_name="job",
            name="due_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
