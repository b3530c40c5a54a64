"""What a stream says of its subject's privacy, and whether it keeps only what its contract knows."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [("catalog", "0011_glossary")]
    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        migrations.AddField(
            model_name="stream",
            name="subject_privacy",
            field=models.CharField(
                choices=[("none", "None"), ("tokenize", "Tokenize"), ("drop", "Drop")],
                default="none",
                db_default="none",
                max_length=8,
            ),
        ),
        migrations.AddField(
            model_name="stream",
            name="minimise",
            field=models.BooleanField(default=False, db_default=False),
        ),
    ]
