"""Alarms: a persistent breach, from its opening to its end."""

from django.db import models

from catalog.models import Stream
from portal.kernel import clock
from quality.models.checks import CheckKind


class Alarm(models.Model):
    """A breach that lasted; one is open at most for each stream and kind. `level`, `sentence` and
    `evidence` (`value` and `expected`) are of its opening; `reopened` counts how often it came
    back."""

    stream = models.ForeignKey(Stream, on_delete=models.CASCADE, related_name="alarms")
    kind = models.CharField(max_length=12, choices=CheckKind.choices)
    opened_at = models.DateTimeField(default=clock.now)
    closed_at = models.DateTimeField(null=True, blank=True)
    level = models.SmallIntegerField()
    sentence = models.TextField()
    evidence = models.JSONField(default=dict)
    reopened = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["stream", "kind"],
                condition=models.Q(closed_at__isnull=True),
                name="alarm_one_open",
            ),
            models.CheckConstraint(
                condition=models.Q(closed_at__isnull=True)
                | models.Q(closed_at__gte=models.F("opened_at")),
                name="alarm_ends_after_it_began",
            ),
        ]
        indexes = [models.Index(fields=["-opened_at"], name="alarm_newest")]

    def __str__(self) -> str:
        return f"{self.kind} of {self.stream} since {self.opened_at:%Y-%m-%d %H:%M}"

    @property
    def is_open(self) -> bool:
        return self.closed_at is None
