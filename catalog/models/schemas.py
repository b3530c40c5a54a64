"""Schema versions of streams and the index of their fields."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from catalog.models.streams import Stream
from catalog.types import Classification, VersionState
from portal.kernel import clock


class SchemaVersion(models.Model):
    """One version of a stream's contract. Immutable once active (a trigger in migration 0002)."""

    stream = models.ForeignKey(Stream, on_delete=models.CASCADE, related_name="versions")
    version = models.PositiveIntegerField()
    label = models.CharField(max_length=60, blank=True, default="")
    document = models.JSONField()
    document_sha256 = models.BinaryField(max_length=32)
    schema_id = models.CharField(max_length=500, blank=True, default="")
    draft = models.CharField(max_length=10, default="2020-12")
    state = models.CharField(
        max_length=10, choices=VersionState.choices, default=VersionState.DRAFT
    )
    compatibility_group = models.PositiveIntegerField(default=1)
    note = models.TextField(blank=True, default="")
    findings = models.JSONField(default=list)
    extensions = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(default=clock.now)
    created_by = models.CharField(max_length=254, default="", blank=True)
    activated_at = models.DateTimeField(null=True, blank=True)
    deprecated_at = models.DateTimeField(null=True, blank=True)
    sunset_at = models.DateTimeField(null=True, blank=True)
    migration_note = models.TextField(blank=True, default="")
    retired_at = models.DateTimeField(null=True, blank=True)
    # The number of the version that this one corrects: its events are judged by this one.
    supersedes = models.PositiveIntegerField(null=True, blank=True)
    # Windows in which a deprecated version is refused for practice: [{"from": …, "until": …}].
    brownouts = models.JSONField(default=list, blank=True)

    class Meta:
        ordering = ["stream_id", "version"]
        constraints = [
            models.UniqueConstraint(fields=["stream", "version"], name="schema_version_unique"),
            models.CheckConstraint(
                condition=models.Q(version__gte=1), name="schema_version_from_one"
            ),
        ]
        indexes = [
            models.Index(fields=["document_sha256"], name="schema_version_content"),
            models.Index(fields=["schema_id"], name="schema_version_schema_id"),
        ]

    def __str__(self) -> str:
        return f"{self.stream.name} v{self.version}"


class SchemaField(models.Model):
    """One field of a version, found by path over all streams. `path` is dotted, `[]` for items."""

    schema_version = models.ForeignKey(
        SchemaVersion, on_delete=models.CASCADE, related_name="fields"
    )
    stream = models.ForeignKey(Stream, on_delete=models.CASCADE, related_name="fields")
    path = models.CharField(max_length=500, db_collation="C")
    name = models.CharField(max_length=256, db_collation="C")
    depth = models.PositiveSmallIntegerField()
    position = models.PositiveIntegerField()
    types = ArrayField(models.CharField(max_length=10))
    format = models.CharField(max_length=60, blank=True, default="")
    required = models.BooleanField(default=False)
    title = models.TextField(blank=True, default="")
    description = models.TextField(blank=True, default="")
    classification = models.CharField(
        max_length=10, choices=Classification.choices, blank=True, default=""
    )
    privacy = models.CharField(max_length=10, blank=True, default="")
    unit = models.CharField(max_length=60, blank=True, default="")
    enum = models.JSONField(null=True, blank=True)
    example = models.JSONField(null=True, blank=True)
    deprecated = models.BooleanField(default=False)
    sunset_on = models.DateField(null=True, blank=True)
    is_current = models.BooleanField(default=False)

    class Meta:
        ordering = ["schema_version_id", "position"]
        constraints = [
            models.UniqueConstraint(
                fields=["schema_version", "path"], name="schema_field_path_unique"
            )
        ]
        indexes = [
            models.Index(fields=["stream", "is_current", "position"], name="schema_field_stream"),
            models.Index(fields=["name"], name="schema_field_name"),
            models.Index(fields=["path"], name="schema_field_path"),
            # The field explorer walks along names and reads nothing but this index.
            models.Index(
                fields=["name", "stream"],
                include=["types", "format", "unit", "classification"],
                condition=models.Q(is_current=True),
                name="schema_field_explored",
            ),
            # The page of privacy: in this index there are labelled fields alone.
            models.Index(
                fields=["stream", "position"],
                include=["privacy", "classification"],
                condition=models.Q(is_current=True)
                & (~models.Q(privacy="") | models.Q(classification__in=["personal", "sensitive"])),
                name="schema_field_labelled",
            ),
        ]

    def __str__(self) -> str:
        return self.path
