"""Questions that people keep under a name, to ask them again."""

from django.db import models

from governance.models.people import User
from portal.kernel import clock
from portal.kernel.identifiers import uuid7


class SavedView(models.Model):
    """A question to one of the portal's pages: its owner's own, or shared with all who may ask it.

    `kind` names the page (`governance.view_kinds`), `asked` holds what its form was filled with.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner = models.ForeignKey(User, on_delete=models.CASCADE, related_name="saved_views")
    kind = models.CharField(max_length=20)
    name = models.CharField(max_length=80)
    asked = models.JSONField(default=dict)
    is_shared = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=clock.now)
    updated_at = models.DateTimeField(default=clock.now)
    revision = models.PositiveIntegerField(default=1)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "kind", "name"], name="saved_view_name"),
        ]
        indexes = [
            models.Index(
                fields=["kind", "name", "id"],
                condition=models.Q(is_shared=True),
                name="saved_view_shared",
            )
        ]

    def __str__(self) -> str:
        return self.name
