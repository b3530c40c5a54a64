"""What is checked, what each check says now, its days, and what is expected of a stream."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from catalog.models import Stream


class CheckKind(models.TextChoices):
    VALIDITY = "validity"
    FRESHNESS = "freshness"
    VOLUME = "volume"


class CheckState(models.TextChoices):
    OK = "ok"
    SUSPECT = "suspect"
    ALARM = "alarm"
    REMEDIATING = "remediating"
    RECOVERED = "recovered"


class Check(models.Model):
    """One check of one stream with its alert machine. `level` None means: no verdict yet."""

    stream = models.ForeignKey(Stream, on_delete=models.CASCADE, related_name="checks")
    kind = models.CharField(max_length=12, choices=CheckKind.choices)
    state = models.CharField(max_length=12, choices=CheckState.choices, default=CheckState.OK)
    history = ArrayField(models.SmallIntegerField(), default=list, blank=True)
    clean_runs = models.PositiveIntegerField(default=0)
    critical_runs = models.PositiveIntegerField(default=0)
    since_remediation = models.PositiveIntegerField(default=0)
    level = models.SmallIntegerField(null=True, blank=True)
    value = models.FloatField(null=True, blank=True)
    expected = models.FloatField(null=True, blank=True)
    sentence = models.TextField(blank=True, default="")
    evaluated_at = models.DateTimeField(null=True, blank=True)
    changed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["stream", "kind"], name="check_once")]
        indexes = [
            models.Index(
                fields=["state", "-changed_at"],
                name="check_not_ok",
                condition=~models.Q(state="ok"),
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.stream}"


class CheckDay(models.Model):
    """The worst a check saw on one day, and how often it was bad."""

    pk = models.CompositePrimaryKey("stream_id", "kind", "day")
    stream_id = models.BigIntegerField()
    kind = models.CharField(max_length=12, choices=CheckKind.choices)
    day = models.DateField()
    worst = models.SmallIntegerField()
    evaluations = models.PositiveIntegerField()
    breaches = models.PositiveIntegerField()

    def __str__(self) -> str:
        return f"{self.kind} {self.day} {self.worst}"


class Baseline(models.Model):
    """What is expected of a stream: events per hour of the week (168, Monday 00:00 UTC first).

    `profile` holds the median of ln(1 + x) per slot, NaN while warming up; `level` and `scale` as
    statistics §11.4. `hourly_means` are mean events per hour of the day over two weeks: where an
    hour holds few events its median says nothing of their sum. Learned again each hour from ingest's accounts.
    """

    stream = models.OneToOneField(
        Stream, primary_key=True, on_delete=models.CASCADE, related_name="baseline"
    )
    profile = ArrayField(models.FloatField(), size=168)
    hourly_means = ArrayField(models.FloatField(), size=24, default=list)
    level = models.FloatField()
    scale = models.FloatField()
    hours = models.PositiveIntegerField()
    learned_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"baseline of {self.stream}"
