"""Jobs know the track they are about, persons how dense they want pages, erasures when admins were
asked once more."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("governance", "0023_policies_on_requests")]

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
        migrations.AddField(
            model_name="user",
            name="density",
            field=models.CharField(
                choices=[("comfortable", "Comfortable"), ("compact", "Compact")],
                db_default="comfortable",
                default="comfortable",
                max_length=11,
            ),
        ),
        migrations.AddField(
            model_name="erasure",
            name="escalated_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddIndex(
            model_name="erasure",
            index=models.Index(
                condition=models.Q(("escalated_at__isnull", True), ("state", "waiting")),
                fields=["created_at"],
                name="erasure_unanswered",
            ),
        ),
    ]
