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
    """Somebody asks to read a resource, for a purpose and until a day; its owner decides.

    `fields` are the paths asked for, empty for all there are; `clear` those personal ones of them
    that are asked for as they are, empty for all when `wants_personal`. What was granted may be less
    and shorter: `granted_*`, set with the decision. `renews` is the grant that it is to prolong.
    `holder_*` name the consumer or producer that it is asked for, empty where somebody asks for
    themselves: a consumer is to read, a producer to publish. `policy` is a
    `governance.policies.verdicts.Verdict`; one that answered stands there (`by`), and in
    `decided_by` nobody.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    resource_kind = models.CharField(max_length=20)
    resource_key = models.CharField(max_length=120)
    owner_team = models.ForeignKey(Team, null=True, on_delete=models.SET_NULL, related_name="+")
    requester = models.ForeignKey(User, on_delete=models.CASCADE, related_name="access_requests")
    holder_kind = models.CharField(max_length=10, blank=True, default="", db_default="")
    holder_id = models.BigIntegerField(null=True, blank=True)
    holder_name = models.CharField(max_length=60, blank=True, default="", db_default="")
    wants_personal = models.BooleanField(default=False)
    fields = ArrayField(models.TextField(), default=list, blank=True)
    clear = ArrayField(models.TextField(), default=list, blank=True)
    purpose = models.TextField()
    until = models.DateTimeField()
    renews = models.CharField(max_length=60, blank=True, default="")
    state = models.CharField(max_length=10, choices=RequestState.choices, default=RequestState.OPEN)
    created_at = models.DateTimeField(default=clock.now)
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    decision_reason = models.TextField(blank=True, default="")
    granted_until = models.DateTimeField(null=True, blank=True)
    granted_fields = ArrayField(models.TextField(), default=list, blank=True)
    granted_personal = models.BooleanField(null=True)
    granted_clear = ArrayField(models.TextField(), default=list, blank=True)
    # What policies said of it when it was asked; none where no policy spoke.
    policy = models.JSONField(null=True, blank=True)
    # When nobody had answered for long, and admins were asked.
    escalated_at = models.DateTimeField(null=True, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["requester", "resource_kind", "resource_key"],
                condition=models.Q(state="open", holder_kind=""),
                name="access_request_one_open",
            ),
            models.UniqueConstraint(
                fields=["holder_kind", "holder_id", "resource_kind", "resource_key"],
                condition=models.Q(state="open") & ~models.Q(holder_kind=""),
                name="access_request_one_open_of_holder",
            ),
            models.CheckConstraint(
                condition=models.Q(holder_kind="", holder_id__isnull=True, holder_name="")
                | models.Q(
                    ~models.Q(holder_name=""),
                    holder_kind__in=["consumer", "producer"],
                    holder_id__isnull=False,
                ),
                name="access_request_holder",
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
            models.Index(
                fields=["created_at"],
                condition=models.Q(state="open", escalated_at__isnull=True),
                name="access_request_unanswered",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.requester} asks for {self.resource_key}"

    @property
    def is_to_publish(self) -> bool:
        """Whether it asks to publish; to read otherwise."""
        return self.holder_kind == "producer"

    @property
    def holder(self) -> str:
        """Whom it is for, as `consumer:warehouse`; empty where somebody asks for themselves."""
        return f"{self.holder_kind}:{self.holder_name}" if self.holder_kind else ""

    @property
    def what(self) -> str:
        """What is asked, as in "to read shop.order_paid for consumer:warehouse"."""
        verb = "publish to" if self.is_to_publish else "read"
        whom = f" for {self.holder}" if self.holder else ""
        return f"to {verb} {self.resource_key}{whom}"


class Delegation(models.Model):
    """While somebody is away, a deputy decides in their place: on what they may approve, as long as
    `since <= now() < until and ended_at is null`, judged by the database's clock."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    person = models.ForeignKey(User, on_delete=models.CASCADE, related_name="delegations")
    deputy = models.ForeignKey(User, on_delete=models.CASCADE, related_name="deputy_of")
    since = models.DateTimeField()
    until = models.DateTimeField()
    note = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField(default=clock.now)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(person=models.F("deputy")), name="delegation_to_another"
            ),
            models.CheckConstraint(
                condition=models.Q(since__lt=models.F("until")), name="delegation_term"
            ),
        ]
        indexes = [
            models.Index(
                fields=["deputy", "until"],
                condition=models.Q(ended_at__isnull=True),
                name="delegation_live",
            )
        ]

    def __str__(self) -> str:
        return f"{self.deputy} decides for {self.person} until {self.until:%Y-%m-%d}"


class TermedPermission(models.Model):
    """Added to guardian's direct-foreign-key rows: a grant has a term and a purpose.

    `fields` are the paths that a grant to read is about, empty for all: of `read_payload` those that
    are shown at all, of `read_personal` those personal ones that are shown as they are. It holds
    while `valid_from <= now() < valid_until and revoked_at is null`, judged by the
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
    # When an owner last said that it is still needed.
    confirmed_at = models.DateTimeField(null=True, blank=True)
    confirmed_by = models.CharField(max_length=254, default="", blank=True)

    class Meta:
        abstract = True
