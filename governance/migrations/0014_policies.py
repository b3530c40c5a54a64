"""Policies with their versions, waivers of them, and what they found."""

from typing import ClassVar

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import portal.kernel.clock
import portal.kernel.identifiers


KEPT = """
CREATE FUNCTION governance_policy_version_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'A version of a policy is never altered.' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER governance_policy_version_kept BEFORE UPDATE ON governance_policyversion
    FOR EACH ROW EXECUTE FUNCTION governance_policy_version_refuse();
"""


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [("governance", "0013_requests")]
    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        migrations.CreateModel(
            name="Policy",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("slug", models.SlugField(max_length=60, unique=True)),
                ("title", models.CharField(max_length=120)),
                ("sentence", models.TextField()),
                ("subject", models.CharField(max_length=20)),
                ("expression", models.TextField()),
                ("remedy", models.TextField(blank=True, default="")),
                (
                    "severity",
                    models.CharField(
                        choices=[("inform", "Informs"), ("warn", "Warns"), ("block", "Blocks")],
                        max_length=6,
                    ),
                ),
                ("built_in", models.BooleanField(default=False)),
                ("version", models.PositiveIntegerField(default=1)),
                ("off_until", models.DateTimeField(blank=True, null=True)),
                ("off_reason", models.TextField(blank=True, default="")),
                ("off_by", models.CharField(blank=True, default="", max_length=254)),
                ("tally", models.JSONField(blank=True, default=dict)),
                ("created_at", models.DateTimeField(default=portal.kernel.clock.now)),
                ("updated_at", models.DateTimeField(default=portal.kernel.clock.now)),
                ("revision", models.PositiveIntegerField(default=1)),
            ],
            options={
                "verbose_name_plural": "policies",
                "ordering": ["slug"],
                "indexes": [models.Index(fields=["subject", "slug"], name="policy_subject")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("off_until", None),
                            models.Q(("off_reason", ""), _negated=True),
                            _connector="OR",
                        ),
                        name="policy_off_has_reason",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="PolicyFinding",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("subject_kind", models.CharField(max_length=20)),
                ("subject_key", models.CharField(db_collation="C", max_length=120)),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("in_order", "In order"),
                            ("breaks", "Not in order"),
                            ("undecided", "Could not be judged"),
                            ("not_measured", "Not measured"),
                        ],
                        max_length=12,
                    ),
                ),
                ("detail", models.TextField(blank=True, default="")),
                ("policy_version", models.PositiveIntegerField()),
                ("since", models.DateTimeField(default=portal.kernel.clock.now)),
                ("judged_at", models.DateTimeField(default=portal.kernel.clock.now)),
                ("closed_at", models.DateTimeField(blank=True, null=True)),
                (
                    "policy",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="findings",
                        to="governance.policy",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("closed_at", None)),
                        fields=["subject_kind", "subject_key"],
                        name="policy_finding_thing",
                    ),
                    models.Index(
                        condition=models.Q(("closed_at", None)),
                        fields=["policy", "-since", "id"],
                        name="policy_finding_newest",
                    ),
                    models.Index(fields=["closed_at"], name="policy_finding_closed"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("closed_at", None)),
                        fields=("policy", "subject_kind", "subject_key"),
                        name="policy_finding_one_open",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("outcome__in", ["breaks", "undecided"])),
                        name="policy_finding_is_one",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="PolicyVersion",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("version", models.PositiveIntegerField()),
                ("title", models.CharField(max_length=120)),
                ("sentence", models.TextField()),
                ("expression", models.TextField()),
                ("remedy", models.TextField(blank=True, default="")),
                (
                    "severity",
                    models.CharField(
                        choices=[("inform", "Informs"), ("warn", "Warns"), ("block", "Blocks")],
                        max_length=6,
                    ),
                ),
                ("note", models.TextField(blank=True, default="")),
                ("at", models.DateTimeField(default=portal.kernel.clock.now)),
                ("by", models.CharField(max_length=254)),
                (
                    "policy",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="versions",
                        to="governance.policy",
                    ),
                ),
            ],
            options={
                "ordering": ["policy_id", "-version"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("policy", "version"), name="policy_version_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Waiver",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=portal.kernel.identifiers.uuid7,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("subject_key", models.CharField(db_collation="C", max_length=120)),
                ("reason", models.TextField()),
                ("until", models.DateTimeField()),
                ("given_at", models.DateTimeField(default=portal.kernel.clock.now)),
                ("given_by", models.CharField(max_length=254)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("ended_by", models.CharField(blank=True, default="", max_length=254)),
                (
                    "given_by_user",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "policy",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="waivers",
                        to="governance.policy",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["-given_at", "id"], name="waiver_newest")],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("ended_at", None)),
                        fields=("policy", "subject_key"),
                        name="waiver_one_open",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("until__gt", models.F("given_at"))),
                        name="waiver_ends_later",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("reason", ""), _negated=True), name="waiver_has_reason"
                    ),
                ],
            },
        ),
        migrations.RunSQL(KEPT, "DROP FUNCTION governance_policy_version_refuse CASCADE"),
    ]
