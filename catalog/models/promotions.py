"""Requests to move a stream to the other track, and who approved of them."""

from django.db import models

from catalog.models.streams import Stream
from catalog.types import Track
from governance.models import User
from portal.kernel import clock
from portal.kernel.identifiers import uuid7


class PromotionState(models.TextChoices):
    """How far a request is. `done`: the stream was moved."""

    OPEN = "open"
    DONE = "done"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


class Promotion(models.Model):
    """A request to move a stream. `moves_at` is the moment that was set: events whose own time is
    later lie on `to_track`; null where the stream was moved before its first event."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    stream = models.ForeignKey(Stream, on_delete=models.CASCADE, related_name="promotions")
    to_track = models.CharField(max_length=12, choices=Track.choices)
    state = models.CharField(
        max_length=9, choices=PromotionState.choices, default=PromotionState.OPEN
    )
    reason = models.TextField(blank=True, default="")
    needed_approvals = models.PositiveSmallIntegerField()
    asked_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    opened_by = models.CharField(max_length=254)
    opened_at = models.DateTimeField(default=clock.now)
    escalated_at = models.DateTimeField(null=True, blank=True)  # when nobody had answered for long
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.CharField(max_length=254, blank=True, default="")
    closing_reason = models.TextField(blank=True, default="")
    moves_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["stream"], condition=models.Q(state="open"), name="promotion_one_open"
            ),
            models.CheckConstraint(
                condition=models.Q(state="open", closed_at__isnull=True)
                | (~models.Q(state="open") & models.Q(closed_at__isnull=False)),
                name="promotion_closed_has_time",
            ),
        ]
        indexes = [
            models.Index(fields=["stream", "-opened_at"], name="promotion_of_stream"),
            models.Index(
                fields=["opened_at"],
                condition=models.Q(state="open", escalated_at__isnull=True),
                name="promotion_unanswered",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.stream.name} to {self.to_track}"


class PromotionApproval(models.Model):
    """What one person approved of; never their own request."""

    promotion = models.ForeignKey(Promotion, on_delete=models.CASCADE, related_name="approvals")
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    comment = models.TextField(blank=True, default="")
    at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["promotion", "user"], name="promotion_approved_once")
        ]

    def __str__(self) -> str:
        return f"{self.user} approves {self.promotion_id}"
