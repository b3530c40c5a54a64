"""Reviews of what is said of things."""

from typing import ClassVar

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import portal.kernel.clock
import portal.kernel.identifiers

NOTICE_KINDS = [
    ("proposed", "Proposed"), ("vote_wanted", "Waits for your vote"), ("decided", "Decided"),
    ("activated", "Active"), ("deprecated", "Deprecated"), ("retired", "Retired"),
    ("changed", "Changed"), ("request_waiting", "Access asked for"),
    ("request_decided", "Access decided"), ("alarm_raised", "Alarm"),
    ("alarm_ended", "Alarm over"), ("break_glass", "Break-glass"),
    ("sign_in", "Your account"), ("review_due", "Review due"),
]  # fmt: skip


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [("governance", "0015_sign_in")]
    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        migrations.CreateModel(
            name="Review",
            fields=[
                ("id", models.UUIDField(default=portal.kernel.identifiers.uuid7, editable=False, primary_key=True, serialize=False)),
                ("resource_kind", models.CharField(max_length=20)),
                ("resource_key", models.CharField(db_collation="C", max_length=120)),
                ("due_at", models.DateTimeField()),
                ("opened_at", models.DateTimeField(default=portal.kernel.clock.now)),
                ("escalated_at", models.DateTimeField(blank=True, null=True)),
                ("completed_at", models.DateTimeField(blank=True, null=True)),
                ("completed_by", models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL)),
                ("completed_label", models.CharField(blank=True, default="", max_length=254)),
                ("points", models.JSONField(blank=True, default=list)),
                ("snapshot", models.JSONField(blank=True, default=dict)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=["resource_kind", "resource_key"], condition=models.Q(completed_at=None), name="review_one_open"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(completed_at=None, points=[], completed_label="")
                        | (
                            models.Q(completed_at__isnull=False)
                            & ~models.Q(points=[])
                            & ~models.Q(completed_label="")
                        ),
                        name="review_said_or_open",
                    ),
                ],
                "indexes": [
                    models.Index(fields=["due_at", "id"], name="review_due"),
                    models.Index(
                        fields=["due_at"], condition=models.Q(completed_at=None, escalated_at=None), name="review_unescalated"
                    ),
                    models.Index(fields=["resource_kind", "resource_key", "-completed_at"], name="review_resource"),
                    models.Index(
                        fields=["-completed_at", "id"], condition=models.Q(completed_at__isnull=False), name="review_newest"
                    ),
                ],
            },
        ),
        migrations.AlterField(
            model_name="notice",
            name="kind",
            field=models.CharField(choices=NOTICE_KINDS, max_length=20),
        ),
    ]
