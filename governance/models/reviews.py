"""Reviews: when what is said of a thing has to be looked at again, and what its owners said then."""

from django.db import models

from governance.models.people import User
from governance.types import ResourceRef
from portal.kernel import clock
from portal.kernel.identifiers import uuid7


class Review(models.Model):
    """One turn of looking at one thing. It is open until `completed_at`.

    `points` is what was said, in the order of `ReviewPoint`: [{"point", "outcome", "note"}];
    `snapshot` what the portal knew of each point at that moment: {point: {"says", "lines"}}. Both are
    kept as they are. `completed_label` names who said it also when the account is gone.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    resource_kind = models.CharField(max_length=20)
    resource_key = models.CharField(max_length=120, db_collation="C")
    due_at = models.DateTimeField()
    opened_at = models.DateTimeField(default=clock.now)
    escalated_at = models.DateTimeField(null=True, blank=True)  # when the admins were told, too
    completed_at = models.DateTimeField(null=True, blank=True)
    completed_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    completed_label = models.CharField(max_length=254, blank=True, default="")
    points = models.JSONField(default=list, blank=True)
    snapshot = models.JSONField(default=dict, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["resource_kind", "resource_key"],
                condition=models.Q(completed_at=None),
                name="review_one_open",
            ),
            models.CheckConstraint(
                condition=models.Q(completed_at=None, points=[], completed_label="")
                | (
                    models.Q(completed_at__isnull=False)
                    & ~models.Q(points=[])
                    & ~models.Q(completed_label="")
                ),
                name="review_said_or_open",
            ),
        ]
        indexes = [
            models.Index(fields=["due_at", "id"], name="review_due"),
            models.Index(
                fields=["due_at"],
                condition=models.Q(completed_at=None, escalated_at=None),
                name="review_unescalated",
            ),
            models.Index(
                fields=["resource_kind", "resource_key", "-completed_at"], name="review_resource"
            ),
            models.Index(
                fields=["-completed_at", "id"],
                condition=models.Q(completed_at__isnull=False),
                name="review_newest",
            ),
        ]

    def __str__(self) -> str:
        return f"review of {self.resource_key}"

    @property
    def about(self) -> ResourceRef:
        """What is reviewed."""
        return ResourceRef(self.resource_kind, self.resource_key)

    @property
    def is_open(self) -> bool:
        return self.completed_at is None

    @property
    def overdue_days(self) -> int:
        """Whole days since it was due, while it is open; 0 before and afterwards."""
        return max((clock.now() - self.due_at).days, 0) if self.is_open else 0

    @property
    def is_overdue(self) -> bool:
        return self.is_open and self.due_at < clock.now()
