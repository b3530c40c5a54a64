"""When streams moved between the tracks, and the requests to move them."""

from typing import Any, ClassVar

import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import portal.kernel.clock
import portal.kernel.identifiers

ASCENDING = """
CREATE FUNCTION catalog_ascends(moments timestamptz[]) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(bool_and(pair.earlier < pair.later), true)
    FROM unnest(moments, moments[2:]) AS pair (earlier, later)
$$;
UPDATE catalog_stream SET track_moments = ARRAY[production_since]
WHERE track = 'production' AND production_since IS NOT NULL;
UPDATE catalog_stream SET production_since = NULL WHERE track <> 'production';
SET CONSTRAINTS ALL IMMEDIATE;
ALTER TABLE catalog_stream
    ADD CONSTRAINT stream_moments_ascend CHECK (catalog_ascends(track_moments)),
    ADD CONSTRAINT stream_production_since_is_last_moment CHECK (
        track <> 'production'
        OR production_since IS NOT DISTINCT FROM track_moments[cardinality(track_moments)]
    );
"""
NOT_ASCENDING = """
ALTER TABLE catalog_stream
    DROP CONSTRAINT stream_moments_ascend,
    DROP CONSTRAINT stream_production_since_is_last_moment;
DROP FUNCTION catalog_ascends(timestamptz[]);
"""


class Migration(migrations.Migration):
    dependencies: ClassVar[list[Any]] = [
        ("catalog", "0016_grants_of_fields"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations: ClassVar[list[Any]] = [
        migrations.AddField(
            model_name="stream",
            name="track_moments",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.DateTimeField(), blank=True, db_default=[], default=list,
                size=None,
            ),
        ),
        migrations.RunSQL(ASCENDING, NOT_ASCENDING),
        migrations.CreateModel(
            name="Promotion",
            fields=[
                ("id", models.UUIDField(default=portal.kernel.identifiers.uuid7, editable=False, primary_key=True, serialize=False)),
                ("to_track", models.CharField(choices=[("production", "Production"), ("experimental", "Experimental")], max_length=12)),
                ("state", models.CharField(choices=[("open", "Open"), ("done", "Done"), ("rejected", "Rejected"), ("withdrawn", "Withdrawn")], default="open", max_length=9)),
                ("reason", models.TextField(blank=True, default="")),
                ("needed_approvals", models.PositiveSmallIntegerField()),
                ("opened_by", models.CharField(max_length=254)),
                ("opened_at", models.DateTimeField(default=portal.kernel.clock.now)),
                ("closed_at", models.DateTimeField(blank=True, null=True)),
                ("closed_by", models.CharField(blank=True, default="", max_length=254)),
                ("closing_reason", models.TextField(blank=True, default="")),
                ("moves_at", models.DateTimeField(blank=True, null=True)),
                ("asked_by", models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL)),
                ("stream", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="promotions", to="catalog.stream")),
            ],
            options={
                "indexes": [models.Index(fields=["stream", "-opened_at"], name="promotion_of_stream")],
                "constraints": [
                    models.UniqueConstraint(condition=models.Q(("state", "open")), fields=("stream",), name="promotion_one_open"),
                    models.CheckConstraint(
                        condition=models.Q(models.Q(("closed_at__isnull", True), ("state", "open")), models.Q(models.Q(("state", "open"), _negated=True), ("closed_at__isnull", False)), _connector="OR"),
                        name="promotion_closed_has_time",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="PromotionApproval",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("comment", models.TextField(blank=True, default="")),
                ("at", models.DateTimeField(default=portal.kernel.clock.now)),
                ("promotion", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="approvals", to="catalog.promotion")),
                ("user", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL)),
            ],
            options={
                "ordering": ["at", "id"],
                "constraints": [models.UniqueConstraint(fields=("promotion", "user"), name="promotion_approved_once")],
            },
        ),
    ]
