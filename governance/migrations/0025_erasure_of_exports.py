"""An export that an erasure removed does not say whether its person was the one."""

from typing import Any, ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar[list[Any]] = [("governance", "0024_tracks_density_escalations")]
    operations: ClassVar[list[Any]] = [
        migrations.AlterField(
            model_name="subjectexport",
            name="ended",
            field=models.CharField(
                blank=True,
                choices=[
                    ("expired", "Its 7 days were over"),
                    ("deleted", "Deleted by an admin"),
                    ("stopped", "Its work was stopped"),
                    ("erased", "Somebody was erased"),
                ],
                default="",
                max_length=10,
            ),
        ),
    ]
