"""What a detector suspects to be personal in stored events, for people to decide on."""

from django.db import models

from catalog.models import Stream
from governance.types import ResourceRef


class SuggestionState(models.TextChoices):
    OPEN = "open"
    ACCEPTED = "accepted"
    DISMISSED = "dismissed"


class PrivacySuggestion(models.Model):
    """A field of a stream in which values of a kind were found that its contract does not treat.

    `events` were looked at that carry the field, in `hits` of them the kind was found. It holds no
    value, and of names that the contract does not know only those that look like names.
    """

    stream = models.ForeignKey(Stream, on_delete=models.CASCADE, related_name="suggestions")
    path = models.CharField(max_length=500, db_collation="C")
    kind = models.CharField(max_length=20)
    events = models.BigIntegerField(default=0)
    hits = models.BigIntegerField(default=0)
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    state = models.CharField(
        max_length=9, choices=SuggestionState.choices, default=SuggestionState.OPEN
    )
    reason = models.TextField(blank=True, default="")
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.CharField(max_length=254, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["stream", "path", "kind"], name="suggestion_once"),
            models.CheckConstraint(
                condition=models.Q(hits__lte=models.F("events")), name="suggestion_share"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.path} {self.kind}"

    @property
    def ref(self) -> ResourceRef:
        return ResourceRef("privacy_suggestion", str(self.pk))

    @property
    def share(self) -> float:
        """The share of looked-at events with the field in which it was found."""
        return self.hits / self.events if self.events else 0.0


class PrivacyScan(models.Model):
    """How far the detector has looked into a stream, by the time of receipt."""

    stream = models.OneToOneField(Stream, on_delete=models.CASCADE, primary_key=True)
    until = models.DateTimeField()
    scanned_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"scan {self.stream_id}"
