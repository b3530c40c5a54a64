"""Long work on experimental streams is claimed by workers of its own."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("governance", "0021_requests_for_keys")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="job",
            name="track",
            field=models.CharField(db_default="production", default="production", max_length=12),
        ),
        migrations.AddConstraint(
            model_name="job",
            constraint=models.CheckConstraint(
                condition=models.Q(("track__in", ["production", "experimental"])),
                name="job_track_known",
            ),
        ),
    ]
