"""Domains: what streams belong together. Permissions on a domain hold for its streams."""

from typing import ClassVar

from django.db import models
from guardian.models import GroupObjectPermissionBase, UserObjectPermissionBase

from governance.models import Team, TermedPermission
from governance.types import ResourceRef
from portal.kernel import clock

OBJECT_PERMISSIONS = [
    ("discover", "May know of it"),
    ("read_payload", "May read payloads"),
    ("read_personal", "May read personal fields"),
    ("publish", "May publish events"),
    ("edit", "May edit"),
    ("approve", "May approve changes and requests"),
    ("administer", "May administer"),
]


class Domain(models.Model):
    slug = models.SlugField(max_length=60, unique=True)
    name = models.CharField(max_length=120)
    description = models.TextField(blank=True, default="")
    owner_team = models.ForeignKey(
        Team, null=True, blank=True, on_delete=models.PROTECT, related_name="domains"
    )
    created_at = models.DateTimeField(default=clock.now)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["slug"]
        permissions = [(f"{code}_domain", text) for code, text in OBJECT_PERMISSIONS]

    def __str__(self) -> str:
        return self.slug

    @property
    def ref(self) -> ResourceRef:
        return ResourceRef("domain", self.slug)


class DomainUserPermission(UserObjectPermissionBase, TermedPermission):
    content_object = models.ForeignKey(Domain, on_delete=models.CASCADE)

    class Meta(UserObjectPermissionBase.Meta):
        abstract = False
        # One decision a row: guardian's own constraint would make two of other fields one.
        unique_together: ClassVar = []
        constraints = [
            models.UniqueConstraint(
                fields=["user", "permission", "content_object", "fields"],
                name="domain_user_grant_once",
            )
        ]


class DomainGroupPermission(GroupObjectPermissionBase, TermedPermission):
    content_object = models.ForeignKey(Domain, on_delete=models.CASCADE)

    class Meta(GroupObjectPermissionBase.Meta):
        abstract = False
        # One decision a row: guardian's own constraint would make two of other fields one.
        unique_together: ClassVar = []
        constraints = [
            models.UniqueConstraint(
                fields=["group", "permission", "content_object", "fields"],
                name="domain_group_grant_once",
            )
        ]
