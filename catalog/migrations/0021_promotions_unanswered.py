"""Requests to move a stream that nobody answered are told of to the admins, once."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("catalog", "0020_observed_reads")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="promotion",
            name="escalated_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddIndex(
            model_name="promotion",
            index=models.Index(
                condition=models.Q(("escalated_at__isnull", True), ("state", "open")),
                fields=["opened_at"],
                name="promotion_unanswered",
            ),
        ),
    ]
