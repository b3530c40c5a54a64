"""What Confluent's registry knows beside the catalog: ids of schemas, spellings, deletions.

The versions themselves are the catalog's. Deleting through the registry only marks them here:
what stored events name stays resolvable.
"""

from django.db import models

from catalog.models.schemas import SchemaVersion
from catalog.models.streams import Stream
from catalog.types import CompatibilityMode
from portal.kernel import clock


class RegistryMode(models.TextChoices):
    """READONLY: nothing is registered or deleted. IMPORT: ids are named, all is compatible."""

    READWRITE = "READWRITE"
    READONLY = "READONLY"
    IMPORT = "IMPORT"


class RegistrySubject(models.Model):
    """A text that clients use as a subject, with its settings; the empty one holds the global.

    `stream` is None until the first registration. `is_listed`: something was registered under
    this spelling. `made_stream`: the stream was made by that, so only spellings name it.
    """

    subject = models.CharField(max_length=255, unique=True, db_collation="C")
    stream = models.ForeignKey(
        Stream, null=True, blank=True, on_delete=models.CASCADE, related_name="registry_subjects"
    )
    is_listed = models.BooleanField(default=False)
    made_stream = models.BooleanField(default=False)
    level = models.CharField(
        max_length=20, choices=CompatibilityMode.choices, blank=True, default=""
    )
    mode = models.CharField(max_length=10, choices=RegistryMode.choices, blank=True, default="")
    created_at = models.DateTimeField(default=clock.now)
    created_by = models.CharField(max_length=254, blank=True, default="")

    def __str__(self) -> str:
        return self.subject or "(global)"


class RegistrySchema(models.Model):
    """A schema by what makes it the same schema; its id is one everywhere and never used again."""

    id = models.AutoField(primary_key=True)
    fingerprint = models.BinaryField(max_length=32, unique=True)
    text = models.TextField()
    metadata = models.JSONField(null=True, blank=True)
    rule_set = models.JSONField(null=True, blank=True)
    created_at = models.DateTimeField(default=clock.now)

    def __str__(self) -> str:
        return f"schema {self.pk}"


class RegistryVersion(models.Model):
    """A version with the schema that it was registered as, and whether clients deleted it."""

    version = models.OneToOneField(SchemaVersion, on_delete=models.CASCADE, related_name="registry")
    schema = models.ForeignKey(RegistrySchema, on_delete=models.PROTECT, related_name="versions")
    deleted_at = models.DateTimeField(null=True, blank=True)
    is_permanent = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(is_permanent=False) | models.Q(deleted_at__isnull=False),
                name="registry_permanent_is_deleted",
            )
        ]

    def __str__(self) -> str:
        return f"{self.version} as {self.schema}"


class RegistryReference(models.Model):
    """A schema refers to a version of a subject by a name; kept in the order it was sent."""

    schema = models.ForeignKey(RegistrySchema, on_delete=models.CASCADE, related_name="references")
    position = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=500)
    subject = models.CharField(max_length=255)
    target = models.ForeignKey(
        RegistryVersion, on_delete=models.PROTECT, related_name="referenced_by"
    )

    class Meta:
        ordering = ["schema_id", "position"]
        constraints = [
            models.UniqueConstraint(fields=["schema", "name"], name="registry_reference_once")
        ]

    def __str__(self) -> str:
        return f"{self.schema} calls {self.target} {self.name}"
