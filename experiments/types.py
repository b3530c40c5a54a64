"""Values of experiments that cross their border."""

from typing import Final

from django.db import models

KEY_PATTERN: Final = r"^[A-Za-z0-9._-]{1,64}$"
WEIGHTS_TOTAL: Final = 10_000
SUBJECT_UNIT: Final = "subject"


class State(models.TextChoices):
    """Where an experiment is between draft and promotion (statistics §8.2)."""

    DRAFT = "draft"
    READY = "ready"
    RUNNING = "running"
    DECIDING = "deciding"
    AWAITING_APPROVAL = "awaiting_approval"
    ROLLING_OUT = "rolling_out"
    PROMOTED = "promoted"
    HELD = "held"
    ROLLED_BACK = "rolled_back"
    STOPPED_INCONCLUSIVE = "stopped_inconclusive"
    INVALID = "invalid"
    ARCHIVED = "archived"


class MetricType(models.TextChoices):
    """What a metric makes of the events of a unit (statistics §3.3)."""

    PROPORTION = "proportion"
    COUNT = "count"
    MEAN = "mean"
    REVENUE = "revenue"
    RETENTION = "retention"
    RATIO = "ratio"
    QUANTILE = "quantile"


class Better(models.TextChoices):
    HIGHER = "higher"
    LOWER = "lower"


class Role(models.TextChoices):
    """What a metric may decide; a secondary one is shown and decides nothing."""

    PRIMARY = "primary"
    SECONDARY = "secondary"
    GUARDRAIL = "guardrail"


class MarginKind(models.TextChoices):
    """Whether a margin is a share of the control's mean, or in the metric's own unit."""

    RELATIVE = "relative"
    ABSOLUTE = "absolute"


# What the analysis reads of a metric's events today. The others have their place in the table and
# are refused by the service until their reading is there.
READABLE_TYPES: Final = (
    MetricType.PROPORTION,
    MetricType.COUNT,
    MetricType.MEAN,
    MetricType.REVENUE,
)
