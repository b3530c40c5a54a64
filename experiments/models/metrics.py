"""Metrics: what is counted of a unit's events. A change is a new version; running ones keep theirs."""

from django.db import models
from django.db.models import Q

from catalog.models import Stream
from experiments.types import KEY_PATTERN, Better, MetricType
from governance.models import Team
from governance.types import ResourceRef
from portal.kernel import clock


class Metric(models.Model):
    """One version of a metric.

    `where` is a JSON object that an event's data must contain; `value_path` a dotted path into
    data, empty where events are only counted. `unit_scale` is how many of a value make one `unit`
    (100 for money in minor units); it only matters to readers. Without a window the metric runs to the end of the
    experiment.
    """

    key = models.CharField(max_length=64, db_collation="C")
    version = models.PositiveIntegerField(default=1)
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True, default="")
    owner_team = models.ForeignKey(
        Team, null=True, blank=True, on_delete=models.PROTECT, related_name="metrics"
    )
    stream = models.ForeignKey(Stream, on_delete=models.PROTECT, related_name="metrics")
    type = models.CharField(max_length=12, choices=MetricType.choices)
    where = models.JSONField(null=True, blank=True)
    value_path = models.CharField(max_length=200, blank=True, default="")
    unit = models.CharField(max_length=20, blank=True, default="")
    unit_scale = models.PositiveIntegerField(default=1)
    better = models.CharField(max_length=6, choices=Better.choices, default=Better.HIGHER)
    delay_seconds = models.PositiveIntegerField(default=0)
    window_seconds = models.PositiveIntegerField(null=True, blank=True)
    winsorize_at = models.FloatField(null=True, blank=True)
    created_at = models.DateTimeField(default=clock.now)
    created_by = models.CharField(max_length=254, default="", blank=True)

    class Meta:
        ordering = ["key", "-version"]
        constraints = [
            models.UniqueConstraint(fields=["key", "version"], name="metric_version_once"),
            models.CheckConstraint(condition=Q(key__regex=KEY_PATTERN), name="metric_key"),
            models.CheckConstraint(condition=Q(version__gte=1), name="metric_version_from_1"),
            models.CheckConstraint(
                condition=Q(type__in=MetricType.values), name="metric_type_known"
            ),
            models.CheckConstraint(
                condition=Q(better__in=Better.values), name="metric_better_known"
            ),
            models.CheckConstraint(
                condition=Q(window_seconds=None) | Q(window_seconds__gt=0),
                name="metric_window_positive",
            ),
            models.CheckConstraint(
                condition=Q(winsorize_at=None) | Q(winsorize_at__gt=0.5, winsorize_at__lt=1),
                name="metric_winsorize_share",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.key} v{self.version}"

    @property
    def ref(self) -> ResourceRef:
        return ResourceRef("metric", self.key)
