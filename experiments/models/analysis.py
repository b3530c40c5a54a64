"""What the analysis keeps: the first exposure of every unit, and one immutable row a reading."""

from django.db import models

from experiments.models.experiments import Experiment


class Exposure(models.Model):
    """A unit's first exposure; the arm it counts in, and whether it was seen in another one.

    Written only by `experiments/sql/merge_exposures.sql`, in the transaction that moves the
    experiment's reading position. `mismatch`: the arm differs from the recomputed assignment.
    """

    pk = models.CompositePrimaryKey("experiment_id", "epoch", "unit")
    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="exposures")
    epoch = models.PositiveIntegerField()
    unit = models.CharField(max_length=256, db_collation="C")
    variant = models.CharField(max_length=64, db_collation="C")
    first_at = models.DateTimeField()
    first_tx = models.BigIntegerField()
    first_seq = models.BigIntegerField()
    crossed_at = models.DateTimeField(null=True, blank=True)
    mismatch = models.BooleanField(default=False)
    times = models.PositiveIntegerField(default=1)

    class Meta:
        indexes = [
            models.Index(fields=["experiment", "epoch", "first_at"], name="exposure_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.unit} in {self.variant}"


class AnalysisSnapshot(models.Model):
    """One reading: inputs, sufficient statistics, results, health and verdict. Never changed.

    `is_daily` rows close a day since the start; the day-by-day chart is made of them.
    `content_hash` is SHA-256 over the canonical JSON of everything but number and time taken, so
    that the same inputs can be seen to give the same reading.
    """

    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="snapshots")
    number = models.PositiveIntegerField()
    epoch = models.PositiveIntegerField()
    taken_at = models.DateTimeField()
    watermark = models.DateTimeField()
    is_daily = models.BooleanField(default=False)
    final_look = models.BooleanField(default=False)
    inputs = models.JSONField()
    statistics = models.JSONField()
    health = models.JSONField()
    results = models.JSONField()
    verdict = models.JSONField()
    content_hash = models.BinaryField()

    class Meta:
        ordering = ["experiment", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["experiment", "number"], name="snapshot_number_once"),
            models.UniqueConstraint(
                fields=["experiment", "epoch"],
                condition=models.Q(final_look=True),
                name="snapshot_one_final_look",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.experiment} snapshot {self.number}"
