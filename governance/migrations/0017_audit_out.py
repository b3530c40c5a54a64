"""Where the audit log is sent, and questions that people keep under a name."""

from typing import ClassVar

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models.functions import Now

import portal.kernel.clock
import portal.kernel.identifiers


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [("governance", "0016_reviews")]
    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        migrations.CreateModel(
            name="AuditOutlet",
            fields=[
                ("key", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("label", models.CharField(max_length=300)),
                ("upto_seq", models.BigIntegerField(default=0)),
                ("taken_at", models.DateTimeField(blank=True, null=True)),
                ("error", models.CharField(blank=True, default="", max_length=200)),
                ("failed_at", models.DateTimeField(blank=True, null=True)),
                ("failures", models.PositiveIntegerField(default=0)),
                ("due_at", models.DateTimeField(db_default=Now())),
                ("fence", models.BigIntegerField(default=0)),
                ("lease_until", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("upto_seq__gte", 0)), name="audit_outlet_upto"),
                ],
            },
        ),
        migrations.CreateModel(
            name="SavedView",
            fields=[
                ("id", models.UUIDField(default=portal.kernel.identifiers.uuid7, editable=False, primary_key=True, serialize=False)),
                ("owner", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="saved_views", to=settings.AUTH_USER_MODEL)),
                ("kind", models.CharField(max_length=20)),
                ("name", models.CharField(max_length=80)),
                ("asked", models.JSONField(default=dict)),
                ("is_shared", models.BooleanField(default=False)),
                ("created_at", models.DateTimeField(default=portal.kernel.clock.now)),
                ("updated_at", models.DateTimeField(default=portal.kernel.clock.now)),
                ("revision", models.PositiveIntegerField(default=1)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("owner", "kind", "name"), name="saved_view_name"),
                ],
                "indexes": [
                    models.Index(condition=models.Q(("is_shared", True)), fields=["kind", "name", "id"], name="saved_view_shared"),
                ],
            },
        ),
    ]
