"""Signed-in browsers, break-glass access, and the group of the company's sign-in that is a team."""

from typing import ClassVar

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models.functions import Now

import portal.kernel.identifiers

PERSON = settings.AUTH_USER_MODEL
NOTICE_KINDS = [
    ("proposed", "Proposed"), ("vote_wanted", "Waits for your vote"), ("decided", "Decided"),
    ("activated", "Active"), ("deprecated", "Deprecated"), ("retired", "Retired"),
    ("changed", "Changed"), ("request_waiting", "Access asked for"),
    ("request_decided", "Access decided"), ("alarm_raised", "Alarm"),
    ("alarm_ended", "Alarm over"), ("break_glass", "Break-glass"),
    ("sign_in", "Your account"),
]  # fmt: skip


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("governance", "0014_policies"),
        ("sessions", "0001_initial"),
    ]
    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        migrations.CreateModel(
            name="PersonSession",
            fields=[
                ("id", models.UUIDField(default=portal.kernel.identifiers.uuid7, editable=False, primary_key=True, serialize=False)),
                ("session", models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name="+", to="sessions.session")),
                ("user", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="sessions", to=PERSON)),
                ("browser", models.CharField(max_length=120)),
                ("address", models.GenericIPAddressField(null=True)),
                ("created_at", models.DateTimeField(db_default=Now())),
                ("last_seen_at", models.DateTimeField(db_default=Now())),
            ],
            options={"indexes": [models.Index(fields=["user", "-last_seen_at"], name="person_session_seen")]},
        ),
        migrations.CreateModel(
            name="BreakGlass",
            fields=[
                ("id", models.UUIDField(default=portal.kernel.identifiers.uuid7, editable=False, primary_key=True, serialize=False)),
                ("user", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="+", to=PERSON)),
                ("resource_kind", models.CharField(max_length=20)),
                ("resource_key", models.CharField(max_length=120)),
                ("owner_team", models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to="governance.team")),
                ("reason", models.TextField()),
                ("taken_at", models.DateTimeField(db_default=Now())),
                ("ends_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("verdict", models.CharField(blank=True, choices=[("confirmed", "It was right"), ("objected", "It was not right")], default="", max_length=9)),
                ("review", models.TextField(blank=True, default="")),
                ("reviewed_at", models.DateTimeField(blank=True, null=True)),
                ("reviewed_by", models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to=PERSON)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(verdict="", reviewed_at=None)
                        | (~models.Q(verdict="") & models.Q(reviewed_at__isnull=False)),
                        name="break_glass_reviewed_or_not",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(reviewed_by__isnull=True) | ~models.Q(reviewed_by=models.F("user")),
                        name="break_glass_not_own_review",
                    ),
                ],
                "indexes": [
                    models.Index(fields=["-taken_at", "id"], name="break_glass_newest"),
                    models.Index(fields=["user", "ends_at"], name="break_glass_person"),
                    models.Index(fields=["taken_at"], condition=models.Q(verdict=""), name="break_glass_unreviewed"),
                ],
            },
        ),
        migrations.AddField(
            model_name="team",
            name="sign_in_group",
            field=models.CharField(blank=True, default="", db_default="", max_length=200),
        ),
        migrations.AddConstraint(
            model_name="team",
            constraint=models.UniqueConstraint(
                fields=["sign_in_group"], condition=~models.Q(sign_in_group=""), name="team_sign_in_group_once"
            ),
        ),
        migrations.AlterField(
            model_name="notice",
            name="kind",
            field=models.CharField(choices=NOTICE_KINDS, max_length=20),
        ),
    ]
