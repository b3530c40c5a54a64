"""Putting dead letters right: declared repairs, and what people know of a group."""

from django.contrib.postgres.indexes import GinIndex
from django.db import models

from catalog.models import Stream
from governance.models import User
from governance.types import ResourceRef
from portal.kernel import clock
from portal.kernel.identifiers import uuid7


class RepairKind(models.TextChoices):
    REPAIR = "repair", "Repair"
    REPLAY = "replay", "Replay"
    DISCARD = "discard", "Discard"


class RepairState(models.TextChoices):
    DRAFT = "draft", "Draft"
    CHECKING = "checking", "Dry run under way"
    WAITING = "waiting", "Waits for approval"
    APPROVED = "approved", "Approved"
    APPLYING = "applying", "Being replayed"
    APPLIED = "applied", "Replayed"
    PART_APPLIED = "part_applied", "Part replayed"
    DECLINED = "declined", "Declined"


class Repair(models.Model):
    """What is done about groups of dead letters, from its declaration to its end.

    A repair puts events right by steps and needs a dry run and an approval; a plain replay sends
    them through the door as they are; a discard gives them up, with `note` as its reason. `until`
    is the last receipt that is covered: of its dry run, then of its start. `dry_run` and `outcome`
    hold counts, rules and places, never a submitted value.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=7, choices=RepairKind.choices, default=RepairKind.REPAIR)
    group_keys = models.JSONField()
    type = models.TextField()
    stream = models.ForeignKey(
        Stream, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    steps = models.JSONField(default=list)
    note = models.CharField(max_length=500, blank=True, default="")
    state = models.CharField(max_length=12, choices=RepairState.choices, default=RepairState.DRAFT)
    until = models.DateTimeField()
    rate = models.PositiveIntegerField(default=5000)
    dry_run = models.JSONField(default=dict)
    outcome = models.JSONField(default=dict)
    declared_by = models.CharField(max_length=254)
    declared_by_user = models.BigIntegerField(default=0)
    declared_at = models.DateTimeField(default=clock.now)
    decided_by = models.CharField(max_length=254, blank=True, default="")
    decided_at = models.DateTimeField(null=True, blank=True)
    decision = models.CharField(max_length=500, blank=True, default="")
    applied_by = models.CharField(max_length=254, blank=True, default="")
    applied_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    revision = models.PositiveIntegerField(default=1)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=RepairState.values), name="repair_state_known"
            ),
        ]
        indexes = [
            models.Index(fields=["-declared_at", "id"], name="repair_newest"),
            models.Index(fields=["stream", "-declared_at"], name="repair_stream"),
            GinIndex(fields=["group_keys"], name="repair_groups", opclasses=["jsonb_path_ops"]),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.state}"

    @property
    def ref(self) -> ResourceRef:
        return ResourceRef("repair", str(self.pk))

    @property
    def about(self) -> ResourceRef:
        """What it is about in the audit log: the stream, or the type that nobody registered."""
        return self.stream.ref if self.stream is not None else ResourceRef("stream", self.type)


class LetterGroup(models.Model):
    """What people said of a group of dead letters, and whether it grows just now."""

    group_key = models.TextField(primary_key=True, db_collation="C")
    assignee = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    note = models.CharField(max_length=500, blank=True, default="")
    known_at = models.DateTimeField(null=True, blank=True)
    known_by = models.CharField(max_length=254, blank=True, default="")
    growing_since = models.DateTimeField(null=True, blank=True)
    grew_at = models.DateTimeField(null=True, blank=True)
    updated_at = models.DateTimeField(default=clock.now)

    class Meta:
        indexes = [
            models.Index(
                fields=["grew_at"],
                condition=models.Q(growing_since__isnull=False),
                name="letter_group_growing",
            )
        ]

    def __str__(self) -> str:
        return self.group_key
