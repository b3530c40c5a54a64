"""Requests for access, and what a grant carries beside guardian's permission row."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from governance.models.people import Team, User
from portal.kernel import clock
from portal.kernel.identifiers import uuid7


class RequestState(models.TextChoices):
    OPEN = "open"
    APPROVED = "approved"
    DENIED = "denied"
    WITHDRAWN = "withdrawn"


class AccessRequest(models.Model):
    """Somebody asks to read a resource, for a purpose and until a day; its owner decides."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    resource_kind = models.CharField(max_length=20)
    resource_key = models.CharField(max_length=120)
    owner_team = models.ForeignKey(Team, null=True, on_delete=models.SET_NULL, related_name="+")
    requester = models.ForeignKey(User, on_delete=models.CASCADE, related_name="access_requests")
    wants_personal = models.BooleanField(default=False)
    purpose = models.TextField()
    until = models.DateTimeField()
    state = models.CharField(max_length=10, choices=RequestState.choices, default=RequestState.OPEN)
    created_at = models.DateTimeField(default=clock.now)
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    decision_reason = models.TextField(blank=True, default="")
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["requester", "resource_kind", "resource_key"],
                condition=models.Q(state="open"),
                name="access_request_one_open",
            ),
            models.CheckConstraint(
                condition=models.Q(decided_by__isnull=True)
                | ~models.Q(decided_by=models.F("requester")),
                name="access_request_not_own",
            ),
        ]
        indexes = [
            models.Index(fields=["state", "-created_at"], name="access_request_state"),
            models.Index(fields=["resource_kind", "resource_key"], name="access_request_resource"),
        ]

    def __str__(self) -> str:
        return f"{self.requester} asks for {self.resource_key}"


class TermedPermission(models.Model):
    """Added to guardian's direct-foreign-key rows: a grant has a term and a purpose.

    It holds while `valid_from <= now() < valid_until and revoked_at is null`, judged by the
    database's clock in the statement that reads (`governance.access`).
    """

    valid_from = models.DateTimeField(default=clock.now)
    valid_until = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    purpose = models.TextField(default="")
    fields = ArrayField(models.TextField(), default=list, blank=True)
    request = models.ForeignKey(
        AccessRequest, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    granted_by = models.CharField(max_length=254, default="")
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True
