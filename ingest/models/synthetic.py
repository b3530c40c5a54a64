"""Runs of synthetic events: what was asked for, how far it is, and what came of it."""

from django.db import models

from catalog.models import Stream
from governance.types import ResourceRef
from portal.kernel import clock
from portal.kernel.identifiers import uuid7


class SyntheticRun(models.Model):
    """One run onto a stream, and onto those of its `parts`. How it stands (waiting, running, …) is what its job says.

    `plan` is what was asked for, in words and numbers; `learned` are the curve and the distributions
    that it goes by, kept while it lives, so that each place gives the same event in every step. The
    run's key is derived: only its id stands here. `position` and `total` are of all streams together.
    `outcome` counts what was expected beside what was seen; `misses` are the first twenty that differ.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    stream = models.ForeignKey(Stream, on_delete=models.CASCADE, related_name="+")
    plan = models.JSONField()
    learned = models.JSONField(default=dict)
    is_learned = models.BooleanField(default=False)
    position = models.BigIntegerField(default=0)
    total = models.BigIntegerField()
    sent = models.BigIntegerField(default=0)
    outcome = models.JSONField(default=list)
    misses = models.JSONField(default=list)
    key_id = models.CharField(max_length=8)
    started_by = models.CharField(max_length=254)
    started_by_user = models.BigIntegerField(default=0)
    started_at = models.DateTimeField(default=clock.now)

    class Meta:
        indexes = [
            models.Index(fields=["-started_at", "id"], name="synthetic_run_newest"),
            models.Index(fields=["stream", "-started_at"], name="synthetic_run_stream"),
        ]

    def __str__(self) -> str:
        return f"{self.stream_id} {self.started_at}"

    @property
    def ref(self) -> ResourceRef:
        return ResourceRef("synthetic_run", str(self.pk))


class SyntheticPart(models.Model):
    """A further stream of a run; the first stands in the run itself. `at` is its number, from 1."""

    run = models.ForeignKey(SyntheticRun, on_delete=models.CASCADE, related_name="parts")
    at = models.PositiveSmallIntegerField()
    stream = models.ForeignKey(Stream, on_delete=models.CASCADE, related_name="+")
    learned = models.JSONField(default=dict)
    position = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "at"], name="synthetic_part_once")]

    def __str__(self) -> str:
        return f"{self.run_id} {self.at}"
