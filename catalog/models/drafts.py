"""Drafts: unpublished registrations and edits, private to their author unless shared."""

from django.db import models

from catalog.models.streams import Stream
from governance.models import Team, User
from governance.types import ResourceRef
from portal.kernel import clock
from portal.kernel.identifiers import uuid7


class DraftKind(models.TextChoices):
    REGISTRATION = "registration"
    CHANGE = "change"


class Draft(models.Model):
    """What somebody has not published yet. `content` holds the members of the request it is to
    become, valid or not; `page` what the page needs to go on with it (a contract that cannot be
    read yet as text, what was seen in samples). `revision` rises with each write: its ETag.

    A draft of a change names its stream; one of a registration none.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=12, choices=DraftKind.choices)
    stream = models.ForeignKey(
        Stream, null=True, blank=True, on_delete=models.CASCADE, related_name="drafts"
    )
    title = models.CharField(max_length=200, blank=True, default="")
    content = models.JSONField(default=dict)
    page = models.JSONField(default=dict)
    owner = models.ForeignKey(User, on_delete=models.CASCADE, related_name="drafts")
    created_at = models.DateTimeField(default=clock.now)
    updated_at = models.DateTimeField(default=clock.now)
    updated_by = models.CharField(max_length=254)
    revision = models.PositiveIntegerField(default=1)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(kind="registration", stream=None)
                | models.Q(kind="change", stream__isnull=False),
                name="draft_stream_of_change",
            )
        ]
        indexes = [
            models.Index(fields=["owner", "-updated_at"], name="draft_of_owner"),
            models.Index(fields=["updated_at"], name="draft_untouched"),
        ]

    def __str__(self) -> str:
        return self.title or "A draft"

    @property
    def ref(self) -> ResourceRef:
        return ResourceRef("draft", str(self.pk))


class DraftShare(models.Model):
    """One person or one team whom a draft is shared with: they read and edit it."""

    draft = models.ForeignKey(Draft, on_delete=models.CASCADE, related_name="shares")
    user = models.ForeignKey(User, null=True, on_delete=models.CASCADE, related_name="+")
    team = models.ForeignKey(Team, null=True, on_delete=models.CASCADE, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["draft", "user"], name="draft_shared_once_user"),
            models.UniqueConstraint(fields=["draft", "team"], name="draft_shared_once_team"),
            models.CheckConstraint(
                condition=models.Q(user=None, team__isnull=False)
                | models.Q(user__isnull=False, team=None),
                name="draft_shared_with_one",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.draft} with {self.user or self.team}"
