"""Streams: the named event types that everything else hangs on."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from guardian.models import GroupObjectPermissionBase, UserObjectPermissionBase

from catalog.models.domains import OBJECT_PERMISSIONS, Domain
from catalog.types import (
    Classification,
    CompatibilityMode,
    CompatibilityPolicy,
    Enforcement,
    ErasedSubjects,
    Lifecycle,
    SubjectPrivacy,
    Tier,
    Track,
)
from governance.models import Team, TermedPermission, User
from governance.types import ResourceRef
from portal.kernel import clock


class Tag(models.Model):
    slug = models.SlugField(max_length=60, unique=True)
    description = models.TextField(blank=True, default="")

    class Meta:
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.slug


class Stream(models.Model):
    """One event type. `revision` rises with each write and is its ETag."""

    name = models.CharField(max_length=120, unique=True, db_collation="C")
    domain = models.ForeignKey(Domain, on_delete=models.PROTECT, related_name="streams")
    title = models.CharField(max_length=200, blank=True, default="")
    description = models.TextField(blank=True, default="")
    owner_team = models.ForeignKey(
        Team, null=True, blank=True, on_delete=models.PROTECT, related_name="streams"
    )
    lifecycle = models.CharField(max_length=12, choices=Lifecycle.choices, default=Lifecycle.DRAFT)
    track = models.CharField(max_length=12, choices=Track.choices, default=Track.EXPERIMENTAL)
    production_since = models.DateTimeField(null=True, blank=True)
    # When it moved from one track to the other, the oldest first: `catalog.tracks`. The database
    # keeps them ascending, and `production_since` the last of them.
    track_moments = ArrayField(models.DateTimeField(), default=list, db_default=[], blank=True)
    tier = models.CharField(max_length=2, choices=Tier.choices, default=Tier.T3)
    classification = models.CharField(
        max_length=10, choices=Classification.choices, default=Classification.INTERNAL
    )
    subject_classification = models.CharField(
        max_length=10, choices=Classification.choices, default=Classification.INTERNAL
    )
    subject_privacy = models.CharField(
        max_length=8,
        choices=SubjectPrivacy.choices,
        default=SubjectPrivacy.NONE,
        db_default=SubjectPrivacy.NONE,
    )
    # Fields that the contract does not know are taken out of events instead of set aside.
    minimise = models.BooleanField(default=False, db_default=False)
    # Of later events about somebody who was erased; earlier ones are always refused.
    erased_subjects = models.CharField(
        max_length=6,
        choices=ErasedSubjects.choices,
        default=ErasedSubjects.REFUSE,
        db_default=ErasedSubjects.REFUSE,
    )
    subject_meaning = models.TextField(blank=True, default="")
    enforcement = models.CharField(
        max_length=8, choices=Enforcement.choices, default=Enforcement.ENFORCE
    )
    compatibility_mode = models.CharField(
        max_length=20, choices=CompatibilityMode.choices, default=CompatibilityMode.BACKWARD
    )
    compatibility_policy = models.CharField(
        max_length=15,
        choices=CompatibilityPolicy.choices,
        default=CompatibilityPolicy.READER_WRITER,
    )
    restricted = models.BooleanField(default=False)
    late_seconds = models.PositiveIntegerField(default=30 * 86_400)
    ahead_seconds = models.PositiveIntegerField(default=86_400)
    retention_days = models.PositiveIntegerField(default=30)
    # Whether its days are written to the archive before they go.
    archive = models.BooleanField(default=False, db_default=False)
    # Whether an event replaces the one before it of the same key; `state_key` is a JSON pointer into
    # the data, empty for the partition key, else the subject.
    is_state = models.BooleanField(default=False, db_default=False)
    state_key = models.CharField(max_length=255, default="", db_default="", blank=True)
    cadence_seconds = models.PositiveIntegerField(null=True, blank=True)
    events_per_second = models.PositiveIntegerField(null=True, blank=True)  # null: no quota
    default_version = models.PositiveIntegerField(null=True, blank=True)
    deprecated_at = models.DateTimeField(null=True, blank=True)
    sunset_at = models.DateTimeField(null=True, blank=True)
    successor = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="predecessors"
    )
    migration_note = models.TextField(blank=True, default="")
    retired_at = models.DateTimeField(null=True, blank=True)
    reviewed_at = models.DateTimeField(null=True, blank=True)
    last_event_at = models.DateTimeField(null=True, blank=True)
    tags = models.ManyToManyField(Tag, through="StreamTag", related_name="streams")
    # What files of other tools said of it and no column holds, under their own keys.
    extensions = models.JSONField(default=dict, blank=True)
    search = SearchVectorField(null=True, editable=False)
    created_at = models.DateTimeField(default=clock.now)
    created_by = models.CharField(max_length=254, default="", blank=True)
    updated_at = models.DateTimeField(auto_now=True)
    revision = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["name"]
        permissions = [(f"{code}_stream", text) for code, text in OBJECT_PERMISSIONS]
        indexes = [
            GinIndex(fields=["search"], name="stream_search"),
            models.Index(fields=["domain", "name"], name="stream_domain"),
            models.Index(fields=["owner_team", "name"], name="stream_owner"),
            models.Index(fields=["lifecycle", "name"], name="stream_lifecycle"),
            models.Index(fields=["-created_at"], name="stream_newest"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def ref(self) -> ResourceRef:
        return ResourceRef("stream", self.name)

    @property
    def is_personal(self) -> bool:
        """Whether its events hold anything personal: in their data or as their subject."""
        personal = (Classification.PERSONAL, Classification.SENSITIVE)
        return self.classification in personal or self.subject_classification in personal


class StreamAlias(models.Model):
    """Another name for a stream, taken wherever its name is: what it was called outside."""

    stream = models.ForeignKey(Stream, on_delete=models.CASCADE, related_name="aliases")
    alias = models.CharField(max_length=255, db_collation="C")
    origin = models.CharField(max_length=30, default="import")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["alias"], name="stream_alias_unique")]

    def __str__(self) -> str:
        return self.alias


class StreamTag(models.Model):
    stream = models.ForeignKey(Stream, on_delete=models.CASCADE)
    tag = models.ForeignKey(Tag, on_delete=models.CASCADE)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["stream", "tag"], name="stream_tag_once"),
        ]

    def __str__(self) -> str:
        return f"{self.stream} {self.tag}"


class Follow(models.Model):
    stream = models.ForeignKey(Stream, on_delete=models.CASCADE, related_name="followers")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="follows")
    since = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["stream", "user"], name="follow_once")]

    def __str__(self) -> str:
        return f"{self.user} follows {self.stream}"


class StreamUserPermission(UserObjectPermissionBase, TermedPermission):
    content_object = models.ForeignKey(Stream, on_delete=models.CASCADE)

    class Meta(UserObjectPermissionBase.Meta):
        abstract = False
        # One decision a row: guardian's own constraint would make two of other fields one.
        unique_together: ClassVar = []
        constraints = [
            models.UniqueConstraint(
                fields=["user", "permission", "content_object", "fields"],
                name="stream_user_grant_once",
            )
        ]


class StreamGroupPermission(GroupObjectPermissionBase, TermedPermission):
    content_object = models.ForeignKey(Stream, on_delete=models.CASCADE)

    class Meta(GroupObjectPermissionBase.Meta):
        abstract = False
        # One decision a row: guardian's own constraint would make two of other fields one.
        unique_together: ClassVar = []
        constraints = [
            models.UniqueConstraint(
                fields=["group", "permission", "content_object", "fields"],
                name="stream_group_grant_once",
            )
        ]
