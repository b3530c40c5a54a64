"""Policies: what must hold of the things of the portal, what breaks it, and what is waived."""

from datetime import UTC, datetime
from typing import Final

from django.db import models

from governance.models.people import User
from governance.types import PolicyOutcome, ResourceRef, Severity
from portal.kernel import clock
from portal.kernel.identifiers import uuid7

# Until when an example is off that nobody switched on.
FOR_GOOD: Final = datetime(9999, 1, 1, tzinfo=UTC)


class Policy(models.Model):
    """One policy as it stands now. `subject` is the kind of thing it judges.

    It is off while `off_until` lies ahead, judged by the database's clock. `tally` is what its last
    whole run found: {"at", "in_order", "breaks", "undecided", "not_measured", "waived"}. `revision`
    rises with each write of people (its ETag), `version` with each that changes what is judged.
    """

    slug = models.SlugField(max_length=60, unique=True)
    title = models.CharField(max_length=120)
    sentence = models.TextField()
    subject = models.CharField(max_length=20)
    expression = models.TextField()
    remedy = models.TextField(blank=True, default="")
    severity = models.CharField(max_length=6, choices=Severity.choices)
    built_in = models.BooleanField(default=False)
    version = models.PositiveIntegerField(default=1)
    off_until = models.DateTimeField(null=True, blank=True)
    off_reason = models.TextField(blank=True, default="")
    off_by = models.CharField(max_length=254, blank=True, default="")
    tally = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(default=clock.now)
    updated_at = models.DateTimeField(default=clock.now)
    revision = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["slug"]
        verbose_name_plural = "policies"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(off_until=None) | ~models.Q(off_reason=""),
                name="policy_off_has_reason",
            )
        ]
        indexes = [models.Index(fields=["subject", "slug"], name="policy_subject")]

    def __str__(self) -> str:
        return self.title

    @property
    def ref(self) -> ResourceRef:
        return ResourceRef("policy", self.slug)

    @property
    def is_off(self) -> bool:
        """Whether it is off now, as pages show it; what is judged asks the database."""
        return self.off_until is not None and self.off_until > clock.now()

    @property
    def is_off_for_good(self) -> bool:
        """Whether it does not come on by itself."""
        return self.off_until == FOR_GOOD


class PolicyVersion(models.Model):
    """What a policy said at one time, who said so and why. Never altered (trigger in 0013)."""

    policy = models.ForeignKey(Policy, on_delete=models.CASCADE, related_name="versions")
    version = models.PositiveIntegerField()
    title = models.CharField(max_length=120)
    sentence = models.TextField()
    expression = models.TextField()
    remedy = models.TextField(blank=True, default="")
    severity = models.CharField(max_length=6, choices=Severity.choices)
    note = models.TextField(blank=True, default="")
    at = models.DateTimeField(default=clock.now)
    by = models.CharField(max_length=254)

    class Meta:
        ordering = ["policy_id", "-version"]
        constraints = [
            models.UniqueConstraint(fields=["policy", "version"], name="policy_version_once")
        ]

    def __str__(self) -> str:
        return f"{self.policy} v{self.version}"


class Waiver(models.Model):
    """One thing that need not be in order until a day, for a reason. It ends by itself: it holds
    while `ended_at is null and until > now()`, by the database's clock."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    policy = models.ForeignKey(Policy, on_delete=models.CASCADE, related_name="waivers")
    subject_key = models.CharField(max_length=120, db_collation="C")
    reason = models.TextField()
    until = models.DateTimeField()
    given_at = models.DateTimeField(default=clock.now)
    given_by = models.CharField(max_length=254)
    given_by_user = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.CharField(max_length=254, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["policy", "subject_key"],
                condition=models.Q(ended_at=None),
                name="waiver_one_open",
            ),
            models.CheckConstraint(
                condition=models.Q(until__gt=models.F("given_at")), name="waiver_ends_later"
            ),
            models.CheckConstraint(condition=~models.Q(reason=""), name="waiver_has_reason"),
        ]
        indexes = [models.Index(fields=["-given_at", "id"], name="waiver_newest")]

    def __str__(self) -> str:
        return f"{self.policy} for {self.subject_key}"

    @property
    def is_open(self) -> bool:
        """Whether it holds now, as pages show it; what is judged asks the database."""
        return self.ended_at is None and self.until > clock.now()


class PolicyFinding(models.Model):
    """A thing that is not in order by a policy, or could not be judged. One open row each."""

    policy = models.ForeignKey(Policy, on_delete=models.CASCADE, related_name="findings")
    subject_kind = models.CharField(max_length=20)
    subject_key = models.CharField(max_length=120, db_collation="C")
    outcome = models.CharField(max_length=12, choices=PolicyOutcome.choices)
    detail = models.TextField(blank=True, default="")
    policy_version = models.PositiveIntegerField()
    since = models.DateTimeField(default=clock.now)
    judged_at = models.DateTimeField(default=clock.now)
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["policy", "subject_kind", "subject_key"],
                condition=models.Q(closed_at=None),
                name="policy_finding_one_open",
            ),
            models.CheckConstraint(
                condition=models.Q(outcome__in=["breaks", "undecided"]),
                name="policy_finding_is_one",
            ),
        ]
        indexes = [
            models.Index(
                fields=["subject_kind", "subject_key"],
                condition=models.Q(closed_at=None),
                name="policy_finding_thing",
            ),
            models.Index(
                fields=["policy", "-since", "id"],
                condition=models.Q(closed_at=None),
                name="policy_finding_newest",
            ),
            models.Index(fields=["closed_at"], name="policy_finding_closed"),
        ]

    def __str__(self) -> str:
        return f"{self.policy}: {self.subject_key}"
