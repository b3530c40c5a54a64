"""Changes: proposed schema versions with what was found out about them and what people said."""

from django.db import models

from catalog.models.schemas import SchemaVersion
from catalog.models.streams import Stream
from governance.models import User
from governance.types import ResourceRef
from portal.kernel import clock
from portal.kernel.identifiers import uuid7


class Change(models.Model):
    """A proposal. Its state is its version's; `report` and `replay` are what workers found out.

    `opens_group` says that it breaks earlier versions on purpose: once active, only versions of
    its own compatibility group are compared. `revises` is the change that this one replaced,
    after a remedy.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    stream = models.ForeignKey(Stream, on_delete=models.CASCADE, related_name="changes")
    version = models.OneToOneField(SchemaVersion, on_delete=models.CASCADE, related_name="change")
    summary = models.CharField(max_length=200, blank=True, default="")
    reason = models.TextField(blank=True, default="")
    opens_group = models.BooleanField(default=False)
    revises = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="revisions"
    )
    needed_approvals = models.PositiveSmallIntegerField(default=0)
    asked_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    opened_by = models.CharField(max_length=254)
    opened_at = models.DateTimeField(default=clock.now)
    closed_at = models.DateTimeField(null=True, blank=True)
    report = models.JSONField(default=dict)
    replay = models.JSONField(default=dict)
    updated_at = models.DateTimeField(default=clock.now)
    revision = models.PositiveIntegerField(default=1)

    class Meta:
        indexes = [
            models.Index(fields=["-opened_at", "id"], name="change_newest"),
            models.Index(fields=["stream", "-opened_at"], name="change_of_stream"),
        ]

    def __str__(self) -> str:
        return f"{self.stream.name} v{self.version.version}"

    @property
    def ref(self) -> ResourceRef:
        return ResourceRef("change", str(self.pk))

    @property
    def state(self) -> str:
        """The state of the version that it proposes."""
        return self.version.state


class Vote(models.TextChoices):
    APPROVE = "approve"
    ASK = "ask_for_changes"


class ChangeVote(models.Model):
    """What one person decided about a change; the newest word counts. Never one's own change."""

    change = models.ForeignKey(Change, on_delete=models.CASCADE, related_name="votes")
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    vote = models.CharField(max_length=15, choices=Vote.choices)
    comment = models.TextField(blank=True, default="")
    at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["change", "user"], name="change_vote_one_each")
        ]

    def __str__(self) -> str:
        return f"{self.user}: {self.vote}"


class ChangeComment(models.Model):
    """A word on a change, or on one field of it (`path`, dotted as in the field index)."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    change = models.ForeignKey(Change, on_delete=models.CASCADE, related_name="comments")
    path = models.CharField(max_length=500, blank=True, default="")
    text = models.TextField()
    by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    by_label = models.CharField(max_length=254)
    at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["at", "id"]
        indexes = [models.Index(fields=["change", "at"], name="change_comment_order")]

    def __str__(self) -> str:
        return self.text[:60]
