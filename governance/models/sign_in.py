"""Signed-in browsers, and access that somebody took in an emergency."""

from django.contrib.sessions.models import Session
from django.db import models
from django.db.models.functions import Now

from governance.models.people import Team, User
from governance.types import BreakGlassVerdict, ResourceRef
from portal.kernel.identifiers import uuid7


class PersonSession(models.Model):
    """One signed-in browser: whose, which and from where. It goes with Django's session.

    Pages name it by `id`: the key of the session itself is the cookie, and a secret.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    session = models.OneToOneField(Session, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="sessions")
    browser = models.CharField(max_length=120)
    address = models.GenericIPAddressField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    last_seen_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index(fields=["user", "-last_seen_at"], name="person_session_seen")]

    def __str__(self) -> str:
        return self.browser


class BreakGlass(models.Model):
    """Reading of one thing's payload with its personal fields, taken without anybody's approval.

    It holds while `now() < ends_at and ended_at is null`, by the database's clock, as its grant
    does. Somebody else says afterwards whether it was right: `verdict` is empty until then.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    resource_kind = models.CharField(max_length=20)
    resource_key = models.CharField(max_length=120)
    owner_team = models.ForeignKey(Team, null=True, on_delete=models.SET_NULL, related_name="+")
    reason = models.TextField()
    taken_at = models.DateTimeField(db_default=Now())
    ends_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    verdict = models.CharField(
        max_length=9, choices=BreakGlassVerdict.choices, blank=True, default=""
    )
    review = models.TextField(blank=True, default="")
    reviewed_at = models.DateTimeField(null=True, blank=True)
    reviewed_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(verdict="", reviewed_at=None)
                | (~models.Q(verdict="") & models.Q(reviewed_at__isnull=False)),
                name="break_glass_reviewed_or_not",
            ),
            models.CheckConstraint(
                condition=models.Q(reviewed_by__isnull=True)
                | ~models.Q(reviewed_by=models.F("user")),
                name="break_glass_not_own_review",
            ),
        ]
        indexes = [
            models.Index(fields=["-taken_at", "id"], name="break_glass_newest"),
            models.Index(fields=["user", "ends_at"], name="break_glass_person"),
            models.Index(
                fields=["taken_at"], condition=models.Q(verdict=""), name="break_glass_unreviewed"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} broke the glass of {self.resource_key}"

    @property
    def about(self) -> ResourceRef:
        """What is read by it."""
        return ResourceRef(self.resource_kind, self.resource_key)
