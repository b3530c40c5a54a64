"""Long work as rows: what is to be done, how far it is, and what people wish for it."""

from django.db import models

from governance.models.people import Team
from governance.types import ResourceRef
from portal.kernel import clock
from portal.kernel.identifiers import uuid7


class JobState(models.TextChoices):
    WAITING = "waiting"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    DONE = "done"
    FAILED = "failed"


LIVE = (JobState.WAITING, JobState.RUNNING, JobState.PAUSED)


class Job(models.Model):
    """One piece of long work. `cursor` is where its next step begins, in its kind's own words.

    `fence` rises with each claim: a worker that lost its lease finds its number stale and writes
    nothing. `attempts` counts claims since the last finished step. `due_at` is until when it rests;
    what never rested is due since it was made. `track` is that of the stream it is about: work on
    experimental ones has workers of its own.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=40)
    object_kind = models.CharField(max_length=20)
    object_key = models.CharField(max_length=255)
    title = models.CharField(max_length=200)
    owner_team = models.ForeignKey(
        Team, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    state = models.CharField(max_length=8, choices=JobState.choices, default=JobState.WAITING)
    wish = models.CharField(
        max_length=5, choices=[("pause", "pause"), ("stop", "stop")], blank=True, default=""
    )
    cursor = models.JSONField(default=dict)
    track = models.CharField(max_length=12, default="production", db_default="production")
    done = models.BigIntegerField(default=0)
    total = models.BigIntegerField(null=True, blank=True)
    said = models.TextField(blank=True, default="")
    attempts = models.PositiveSmallIntegerField(default=0)
    fence = models.BigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    due_at = models.DateTimeField(null=True, blank=True)
    created_by = models.CharField(max_length=254)
    created_by_user = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(default=clock.now)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    updated_at = models.DateTimeField(default=clock.now)
    revision = models.PositiveIntegerField(default=1)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "object_kind", "object_key"],
                condition=models.Q(state__in=["waiting", "running", "paused"]),
                name="job_one_live",
            ),
            models.CheckConstraint(
                condition=models.Q(state="running") | models.Q(lease_until=None),
                name="job_lease_only_running",
            ),
            models.CheckConstraint(
                condition=models.Q(track__in=["production", "experimental"]), name="job_track_known"
            ),
        ]
        indexes = [
            models.Index(
                fields=["created_at"],
                condition=models.Q(state__in=["waiting", "running"]),
                name="job_due",
            ),
            models.Index(fields=["-created_at", "id"], name="job_newest"),
            models.Index(fields=["object_kind", "object_key"], name="job_object"),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def ref(self) -> ResourceRef:
        return ResourceRef("job", str(self.pk))

    @property
    def about(self) -> ResourceRef:
        """What the work is about."""
        return ResourceRef(self.object_kind, self.object_key)

    @property
    def is_live(self) -> bool:
        return self.state in LIVE

    @property
    def percent(self) -> int | None:
        """How much is done, of 100; None while the total is not known."""
        if self.state == JobState.DONE:
            return 100
        if not self.total:
            return None
        return min(99, 100 * self.done // self.total)
