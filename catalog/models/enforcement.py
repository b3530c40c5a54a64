"""How a stream climbs the ladder of enforcement, and fields that may be sent longer than said."""

from django.db import models

from catalog.models.streams import Stream
from catalog.types import LadderMode
from portal.kernel import clock

VIOLATION_BOUND = 0.001
LADDER_DAYS = 7
# With none of 7 times 500 events in breach, at most 0.09 % are (95 %): below the bound.
LEAST_EVENTS_A_DAY = 500


class EnforcementRule(models.Model):
    """When a stream takes its next step. A stream without a row goes by the defaults."""

    stream = models.OneToOneField(
        Stream, on_delete=models.CASCADE, primary_key=True, related_name="enforcement_rule"
    )
    mode = models.CharField(max_length=4, choices=LadderMode.choices, default=LadderMode.AUTOMATIC)
    violation_bound = models.FloatField(default=VIOLATION_BOUND)
    days = models.PositiveSmallIntegerField(default=LADDER_DAYS)
    least_events = models.PositiveIntegerField(default=LEAST_EVENTS_A_DAY)
    # Since when the stream stands where it stands: only whole days after it count.
    rung_since = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(violation_bound__gte=0, violation_bound__lte=1),
                name="enforcement_rule_bound_is_share",
            ),
            models.CheckConstraint(
                condition=models.Q(days__gte=1), name="enforcement_rule_days_from_one"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.stream_id} {self.mode}"


class FieldExtension(models.Model):
    """An approved longer life of a field than its contract's `x-sunset`."""

    stream = models.ForeignKey(Stream, on_delete=models.CASCADE, related_name="field_extensions")
    path = models.CharField(max_length=500, db_collation="C")
    until_on = models.DateField()
    reason = models.TextField()
    approved_at = models.DateTimeField(default=clock.now)
    approved_by = models.CharField(max_length=254)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["stream", "path"], name="field_extension_once")
        ]

    def __str__(self) -> str:
        return f"{self.path} until {self.until_on}"
