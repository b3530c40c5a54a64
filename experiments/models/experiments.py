"""Experiments, their variants and what they measure."""

from django.db import models
from django.db.models import F, Q

from catalog.models import Stream
from experiments.models.metrics import Metric
from experiments.types import (
    KEY_PATTERN,
    SUBJECT_UNIT,
    WEIGHTS_TOTAL,
    MarginKind,
    Role,
    State,
)
from governance.models import Team
from governance.types import ResourceRef
from portal.kernel import clock


class Experiment(models.Model):
    """One experiment. `revision` rises with each write and is its ETag.

    `policy` holds the defaults in force, fixed when the experiment starts. `planned_units` is the
    plan for all arms together; it tunes the sequence and never changes after the start.
    """

    key = models.CharField(max_length=64, unique=True, db_collation="C")
    title = models.CharField(max_length=200)
    hypothesis = models.TextField(blank=True, default="")
    owner_team = models.ForeignKey(
        Team, null=True, blank=True, on_delete=models.PROTECT, related_name="experiments"
    )
    state = models.CharField(max_length=20, choices=State.choices, default=State.DRAFT)
    salt = models.CharField(max_length=64, unique=True, db_collation="C")
    epoch = models.PositiveIntegerField(default=1)
    unit = models.CharField(max_length=200, default=SUBJECT_UNIT)
    allocation_bps = models.PositiveIntegerField(default=WEIGHTS_TOTAL)
    targeting = models.JSONField(null=True, blank=True)
    exposure_stream = models.ForeignKey(
        Stream, on_delete=models.PROTECT, related_name="exposing_experiments"
    )
    planned_units = models.PositiveIntegerField()
    planned_days = models.PositiveIntegerField(default=14)
    policy = models.JSONField(default=dict)
    started_at = models.DateTimeField(null=True, blank=True)
    started_by = models.CharField(max_length=254, default="", blank=True)
    planned_end_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    analysed_at = models.DateTimeField(null=True, blank=True)
    read_tx = models.BigIntegerField(default=0)
    read_seq = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(default=clock.now)
    created_by = models.CharField(max_length=254, default="", blank=True)
    updated_at = models.DateTimeField(auto_now=True)
    revision = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["key"]
        constraints = [
            models.CheckConstraint(condition=Q(key__regex=KEY_PATTERN), name="experiment_key"),
            models.CheckConstraint(condition=Q(salt__regex=KEY_PATTERN), name="experiment_salt"),
            models.CheckConstraint(
                condition=Q(state__in=State.values), name="experiment_state_known"
            ),
            models.CheckConstraint(
                condition=Q(allocation_bps__lte=WEIGHTS_TOTAL), name="experiment_allocation"
            ),
            models.CheckConstraint(
                condition=Q(planned_units__gt=0, planned_days__gte=1), name="experiment_plan"
            ),
            models.CheckConstraint(
                condition=Q(state__in=[State.DRAFT, State.READY])
                | Q(state=State.ARCHIVED)
                | Q(started_at__isnull=False, planned_end_at__gt=F("started_at")),
                name="experiment_started_when_past_draft",
            ),
        ]
        indexes = [
            models.Index(fields=["-created_at", "key"], name="experiment_newest"),
            models.Index(
                fields=["analysed_at"], name="experiment_running", condition=Q(state="running")
            ),
        ]

    def __str__(self) -> str:
        return self.key

    @property
    def ref(self) -> ResourceRef:
        return ResourceRef("experiment", self.key)


class Variant(models.Model):
    """One arm, in declared order; the weights of an experiment sum to 10,000."""

    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="variants")
    position = models.PositiveSmallIntegerField()
    key = models.CharField(max_length=64, db_collation="C")
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True, default="")
    weight_bps = models.PositiveIntegerField()
    is_control = models.BooleanField(default=False)

    class Meta:
        ordering = ["experiment", "position"]
        constraints = [
            models.UniqueConstraint(fields=["experiment", "key"], name="variant_key_once"),
            models.UniqueConstraint(fields=["experiment", "position"], name="variant_place_once"),
            models.UniqueConstraint(
                fields=["experiment"], condition=Q(is_control=True), name="variant_one_control"
            ),
            models.CheckConstraint(condition=Q(key__regex=KEY_PATTERN), name="variant_key"),
            models.CheckConstraint(
                condition=Q(weight_bps__lte=WEIGHTS_TOTAL), name="variant_weight"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.experiment}: {self.key}"


class ExperimentMetric(models.Model):
    """A metric version in its role. A guardrail has a margin that it may not be worse by."""

    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="measures")
    metric = models.ForeignKey(Metric, on_delete=models.PROTECT, related_name="uses")
    position = models.PositiveSmallIntegerField()
    role = models.CharField(max_length=10, choices=Role.choices)
    margin = models.FloatField(null=True, blank=True)
    margin_kind = models.CharField(
        max_length=8, choices=MarginKind.choices, default=MarginKind.RELATIVE
    )
    critical = models.BooleanField(default=False)

    class Meta:
        ordering = ["experiment", "position"]
        constraints = [
            models.UniqueConstraint(fields=["experiment", "metric"], name="measure_metric_once"),
            models.UniqueConstraint(fields=["experiment", "position"], name="measure_place_once"),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="measure_role_known"),
            models.CheckConstraint(
                condition=Q(role=Role.GUARDRAIL, margin__gt=0)
                | (~Q(role=Role.GUARDRAIL) & Q(margin=None)),
                name="measure_margin_of_guardrails",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.experiment}: {self.metric} as {self.role}"
