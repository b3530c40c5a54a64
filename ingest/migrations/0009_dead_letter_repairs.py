"""Repairs of dead letters, what is known of their groups, and the replays in the accounts."""

from typing import ClassVar

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import portal.kernel.clock
import portal.kernel.identifiers

# Nullable without a default: the catalogue alone changes, in the parent and in each leaf.
LETTERS = """
SET LOCAL lock_timeout = '5s';
ALTER TABLE ingest_dead_letter
    ADD COLUMN repair_id uuid,
    ADD COLUMN decision text,
    ADD COLUMN tried jsonb;
"""
LETTERS_BACK = """
ALTER TABLE ingest_dead_letter
    DROP COLUMN repair_id, DROP COLUMN decision, DROP COLUMN tried;
"""


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [
        ("ingest", "0008_privacy"),
        ("catalog", "0010_enforcement_ladder"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        migrations.RunSQL(LETTERS, LETTERS_BACK),
        migrations.AddField(
            model_name="ingestminute",
            name="replayed",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.CreateModel(
            name="LetterGroup",
            fields=[
                ("group_key", models.TextField(db_collation="C", primary_key=True, serialize=False)),
                ("note", models.CharField(blank=True, default="", max_length=500)),
                ("known_at", models.DateTimeField(blank=True, null=True)),
                ("known_by", models.CharField(blank=True, default="", max_length=254)),
                ("growing_since", models.DateTimeField(blank=True, null=True)),
                ("grew_at", models.DateTimeField(blank=True, null=True)),
                ("updated_at", models.DateTimeField(default=portal.kernel.clock.now)),
                ("assignee", models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL)),
            ],
            options={
                "indexes": [models.Index(condition=models.Q(growing_since__isnull=False), fields=["grew_at"], name="letter_group_growing")],
            },
        ),
        migrations.CreateModel(
            name="Repair",
            fields=[
                ("id", models.UUIDField(default=portal.kernel.identifiers.uuid7, editable=False, primary_key=True, serialize=False)),
                ("kind", models.CharField(choices=[("repair", "Repair"), ("replay", "Replay"), ("discard", "Discard")], default="repair", max_length=7)),
                ("group_keys", models.JSONField()),
                ("type", models.TextField()),
                ("steps", models.JSONField(default=list)),
                ("note", models.CharField(blank=True, default="", max_length=500)),
                ("state", models.CharField(choices=[("draft", "Draft"), ("checking", "Dry run under way"), ("waiting", "Waits for approval"), ("approved", "Approved"), ("applying", "Being replayed"), ("applied", "Replayed"), ("part_applied", "Part replayed"), ("declined", "Declined")], default="draft", max_length=12)),
                ("until", models.DateTimeField()),
                ("rate", models.PositiveIntegerField(default=5000)),
                ("dry_run", models.JSONField(default=dict)),
                ("outcome", models.JSONField(default=dict)),
                ("declared_by", models.CharField(max_length=254)),
                ("declared_by_user", models.BigIntegerField(default=0)),
                ("declared_at", models.DateTimeField(default=portal.kernel.clock.now)),
                ("decided_by", models.CharField(blank=True, default="", max_length=254)),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                ("decision", models.CharField(blank=True, default="", max_length=500)),
                ("applied_by", models.CharField(blank=True, default="", max_length=254)),
                ("applied_at", models.DateTimeField(blank=True, null=True)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                ("revision", models.PositiveIntegerField(default=1)),
                ("stream", models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to="catalog.stream")),
            ],
            options={
                "indexes": [
                    models.Index(fields=["-declared_at", "id"], name="repair_newest"),
                    models.Index(fields=["stream", "-declared_at"], name="repair_stream"),
                ],
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("state__in", ["draft", "checking", "waiting", "approved", "applying", "applied", "part_applied", "declined"])), name="repair_state_known"),
                ],
            },
        ),
    ]
