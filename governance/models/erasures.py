"""Erasures of persons: who asked, what was done in which store, and who must not come back."""

from django.db import models
from django.db.models.functions import Now

from governance.types import ResourceRef
from portal.kernel.identifiers import uuid7


class ErasureState(models.TextChoices):
    WAITING = "waiting", "Waits for approval"
    RUNNING = "running", "Runs"
    DONE = "done", "Done"
    DENIED = "denied", "Denied"
    WITHDRAWN = "withdrawn", "Withdrawn"


class ErasureBasis(models.TextChoices):
    """Grounds of article 17 (1) GDPR, a to f."""

    NOT_NEEDED = "not_needed", "No longer needed"
    CONSENT_WITHDRAWN = "consent_withdrawn", "Consent withdrawn"
    OBJECTION = "objection", "Objection"
    UNLAWFUL = "unlawful", "Processed unlawfully"
    LEGAL_DUTY = "legal_duty", "A legal duty"
    CHILD = "child", "Collected from a child"


class Erasure(models.Model):
    """One erasure, of up to a hundred identifiers.

    `sealed` holds the identifiers under a data key of its own until it has ended, then nothing.
    `at` is the moment from which on they must not come back; `stores` says by key what was done
    where. The `..._by_user` are 0 for the portal's own command.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    state = models.CharField(
        max_length=10, choices=ErasureState.choices, default=ErasureState.WAITING
    )
    basis = models.CharField(max_length=20, choices=ErasureBasis.choices)
    reason = models.CharField(max_length=500)
    identifiers = models.PositiveSmallIntegerField()
    sealed = models.TextField(blank=True, default="")
    requested_by = models.CharField(max_length=254)
    requested_by_user = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now())
    escalated_at = models.DateTimeField(null=True, blank=True)  # when nobody had answered for long
    decided_by = models.CharField(max_length=254, blank=True, default="")
    decided_by_user = models.BigIntegerField(default=0)
    decided_at = models.DateTimeField(null=True, blank=True)
    decision = models.CharField(max_length=500, blank=True, default="")
    at = models.DateTimeField(null=True, blank=True)
    job = models.OneToOneField("governance.Job", null=True, blank=True, on_delete=models.SET_NULL)
    stores = models.JSONField(default=dict)
    finished_at = models.DateTimeField(null=True, blank=True)
    receipt = models.JSONField(null=True, blank=True)
    revision = models.PositiveIntegerField(default=1)

    class Meta:
        indexes = [
            models.Index(fields=["-created_at", "id"], name="erasure_newest"),
            models.Index(
                fields=["created_at"],
                condition=models.Q(state="waiting", escalated_at__isnull=True),
                name="erasure_unanswered",
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(state=ErasureState.DONE)
                | models.Q(sealed="", finished_at__isnull=False, receipt__isnull=False),
                name="erasure_done_knows_nobody",
            ),
            models.CheckConstraint(
                condition=models.Q(decided_by_user=0)
                | models.Q(state=ErasureState.WITHDRAWN)
                | ~models.Q(decided_by_user=models.F("requested_by_user")),
                name="erasure_not_own",
            ),
            models.CheckConstraint(
                condition=~models.Q(state__in=[ErasureState.DENIED, ErasureState.WITHDRAWN])
                | models.Q(sealed=""),
                name="erasure_ended_knows_nobody",
            ),
        ]

    def __str__(self) -> str:
        return f"erasure {self.pk}"

    @property
    def about(self) -> ResourceRef:
        return ResourceRef("erasure", str(self.pk))


class Tombstone(models.Model):
    """One identifier that was erased, as the hash of `governance.erasing.mark_of`.

    Events about it that happened up to `erased_at` are refused for good; later ones as their stream
    says.
    """

    mark = models.BinaryField(primary_key=True)
    erasure = models.ForeignKey(Erasure, on_delete=models.PROTECT, related_name="tombstones")
    erased_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"tombstone of erasure {self.erasure_id}"
