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
    PRIMARY = "primary"
    SECONDARY = "secondary"
    GUARDRAIL = "guardrail"


class MarginKind(models.TextChoices):
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
