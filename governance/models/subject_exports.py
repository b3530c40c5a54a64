"""Exports of what is kept about a person (articles 15 and 20 GDPR): who asked, and the sealed file."""

from django.db import models
from django.db.models.functions import Now

from governance.types import ResourceRef
from portal.kernel.identifiers import uuid7


class ExportState(models.TextChoices):
    RUNNING = "running", "Is gathered"
    READY = "ready", "Ready"
    GONE = "gone", "Removed"


class ExportEnd(models.TextChoices):
    """Why the file of an export is no longer there."""

    EXPIRED = "expired", "Its 7 days were over"
    DELETED = "deleted", "Deleted by an admin"
    STOPPED = "stopped", "Its work was stopped"
    # Not whose: who knows whom the file was about learns nothing of it.
    ERASED = "erased", "Somebody was erased"


class SubjectExport(models.Model):
    """One export, by up to a hundred identifiers.

    `sealed` holds the identifiers until it is ready, under the data key that seals the file too.
    `marks` are their hashes (`governance.erasing.mark_of`, in hex), by which an erasure finds it; they
    go with the file. `stores` says how much was found where.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    state = models.CharField(
        max_length=10, choices=ExportState.choices, default=ExportState.RUNNING
    )
    ended = models.CharField(max_length=10, choices=ExportEnd.choices, blank=True, default="")
    reason = models.CharField(max_length=500)
    identifiers = models.PositiveSmallIntegerField()
    sealed = models.TextField(blank=True, default="")
    marks = models.JSONField(default=list)
    requested_by = models.CharField(max_length=254)
    requested_by_user = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now())
    job = models.OneToOneField("governance.Job", null=True, blank=True, on_delete=models.SET_NULL)
    stores = models.JSONField(default=list)
    items = models.PositiveBigIntegerField(default=0)
    chunks = models.PositiveIntegerField(default=0)
    size_bytes = models.PositiveBigIntegerField(default=0)
    finished_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField()
    downloads = models.PositiveIntegerField(default=0)
    gone_at = models.DateTimeField(null=True, blank=True)
    revision = models.PositiveIntegerField(default=1)

    class Meta:
        indexes = [
            models.Index(fields=["-created_at", "id"], name="subject_export_newest"),
            models.Index(
                fields=["expires_at"], condition=~models.Q(state="gone"), name="subject_export_live"
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state=ExportState.RUNNING)
                | models.Q(state=ExportState.READY, sealed="", finished_at__isnull=False)
                | models.Q(state=ExportState.GONE, sealed="", marks=[], gone_at__isnull=False),
                name="subject_export_keeps_no_names",
            ),
        ]

    def __str__(self) -> str:
        return f"subject export {self.pk}"

    @property
    def about(self) -> ResourceRef:
        return ResourceRef("subject_export", str(self.pk))

    @property
    def is_live(self) -> bool:
        """Whether there is, or is going to be, a file."""
        return self.state != ExportState.GONE
