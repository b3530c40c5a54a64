"""Exports of what is kept about a person, and which purposes of tokens there are by steps of an index."""

from typing import ClassVar

import django.db.models.deletion
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models.functions import Now

import portal.kernel.identifiers
from governance.chain.migrating import ChainSQL

KINDS = [
    ("proposed", "Proposed"),
    ("vote_wanted", "Waits for your vote"),
    ("decided", "Decided"),
    ("activated", "Active"),
    ("deprecated", "Deprecated"),
    ("retired", "Retired"),
    ("changed", "Changed"),
    ("request_waiting", "Access asked for"),
    ("request_decided", "Access decided"),
    ("alarm_raised", "Alarm"),
    ("alarm_ended", "Alarm over"),
    ("break_glass", "Break-glass"),
    ("sign_in", "Your account"),
    ("review_due", "Review due"),
    ("erasure", "Erasure"),
    ("subject_export", "Personal data taken out"),
]
ENDS = [
    ("expired", "Its 7 days were over"),
    ("deleted", "Deleted by an admin"),
    ("stopped", "Its work was stopped"),
    ("erased", "The person was erased"),
]
# Looks at personal values, of late also at the vault and at exports.
LOOKS = """
CREATE INDEX CONCURRENTLY IF NOT EXISTS governance_audit_saw
    ON public.governance_audit (at DESC, seq DESC)
    WHERE action IN ('event.personal_read', 'event.personal_revealed',
                     'dead_letter.personal_read', 'dead_letter.personal_revealed',
                     'vault.looked_up', 'subject_export.downloaded')
"""
OLD_LOOKS = """
CREATE INDEX CONCURRENTLY IF NOT EXISTS governance_audit_looks
    ON public.governance_audit (at DESC, seq DESC)
    WHERE action IN ('event.personal_read', 'event.personal_revealed',
                     'dead_letter.personal_read', 'dead_letter.personal_revealed')
"""
STATES = [("running", "Is gathered"), ("ready", "Ready"), ("gone", "Removed")]


class Migration(migrations.Migration):
    atomic = False
    dependencies: ClassVar[list[tuple[str, str]]] = [("governance", "0018_erasures")]
    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        AddIndexConcurrently(
            "privacytoken", models.Index(fields=["purpose"], name="privacy_token_purpose")
        ),
        ChainSQL(LOOKS, "DROP INDEX CONCURRENTLY IF EXISTS public.governance_audit_saw"),
        ChainSQL("DROP INDEX CONCURRENTLY IF EXISTS public.governance_audit_looks", OLD_LOOKS),
        migrations.AlterField(
            model_name="notice",
            name="kind",
            field=models.CharField(choices=KINDS, max_length=20),
        ),
        migrations.CreateModel(
            name="SubjectExport",
            fields=[
                ("id", models.UUIDField(default=portal.kernel.identifiers.uuid7, editable=False, primary_key=True, serialize=False)),
                ("state", models.CharField(choices=STATES, default="running", max_length=10)),
                ("ended", models.CharField(blank=True, choices=ENDS, default="", max_length=10)),
                ("reason", models.CharField(max_length=500)),
                ("identifiers", models.PositiveSmallIntegerField()),
                ("sealed", models.TextField(blank=True, default="")),
                ("marks", models.JSONField(default=list)),
                ("requested_by", models.CharField(max_length=254)),
                ("requested_by_user", models.BigIntegerField(default=0)),
                ("created_at", models.DateTimeField(db_default=Now())),
                ("job", models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, to="governance.job")),
                ("stores", models.JSONField(default=list)),
                ("items", models.PositiveBigIntegerField(default=0)),
                ("chunks", models.PositiveIntegerField(default=0)),
                ("size_bytes", models.PositiveBigIntegerField(default=0)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                ("expires_at", models.DateTimeField()),
                ("downloads", models.PositiveIntegerField(default=0)),
                ("gone_at", models.DateTimeField(blank=True, null=True)),
                ("revision", models.PositiveIntegerField(default=1)),
            ],
            options={
                "indexes": [
                    models.Index(fields=["-created_at", "id"], name="subject_export_newest"),
                    models.Index(
                        condition=models.Q(("state", "gone"), _negated=True),
                        fields=["expires_at"], name="subject_export_live",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("state", "running"),
                            models.Q(("finished_at__isnull", False), ("sealed", ""), ("state", "ready")),
                            models.Q(("gone_at__isnull", False), ("marks", []), ("sealed", ""), ("state", "gone")),
                            _connector="OR",
                        ),
                        name="subject_export_keeps_no_names",
                    ),
                ],
            },
        ),
    ]
