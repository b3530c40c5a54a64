"""The glossary: words that teams share, and the streams and fields that mean them."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from catalog.models.streams import Stream
from governance.models import Team
from governance.types import ResourceRef
from portal.kernel import clock


class Term(models.Model):
    """A word with its meaning. `revision` rises with each write and is its ETag."""

    slug = models.SlugField(max_length=60, unique=True)
    name = models.CharField(max_length=120)
    definition = models.TextField()
    owner_team = models.ForeignKey(
        Team, null=True, blank=True, on_delete=models.PROTECT, related_name="terms"
    )
    synonyms = ArrayField(models.CharField(max_length=120), default=list, blank=True)
    created_at = models.DateTimeField(default=clock.now)
    created_by = models.CharField(max_length=254, default="", blank=True)
    updated_at = models.DateTimeField(auto_now=True)
    revision = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["name", "slug"]
        indexes = [models.Index(fields=["name", "slug"], name="term_by_name")]

    def __str__(self) -> str:
        return self.name

    @property
    def ref(self) -> ResourceRef:
        return ResourceRef("term", self.slug)


class TermUse(models.Model):
    """A stream, a field of one stream, or (without a stream) a field of this name in every stream.

    `field` is a path of the field index or, the same where nothing is nested, a name.
    """

    term = models.ForeignKey(Term, on_delete=models.CASCADE, related_name="uses")
    stream = models.ForeignKey(
        Stream, null=True, blank=True, on_delete=models.CASCADE, related_name="term_uses"
    )
    field = models.CharField(max_length=500, blank=True, default="", db_collation="C")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["term", "stream", "field"], nulls_distinct=False, name="term_use_once"
            ),
            models.CheckConstraint(
                condition=models.Q(stream__isnull=False) | ~models.Q(field=""),
                name="term_use_names_something",
            ),
        ]
        indexes = [models.Index(fields=["field"], name="term_use_field")]

    def __str__(self) -> str:
        return f"{self.stream or '*'}#{self.field}" if self.field else str(self.stream)
