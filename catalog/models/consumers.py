"""Consumers: who reads streams, and which fields they declared to use."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from catalog.models.streams import Stream
from governance.models import Team
from governance.types import ResourceRef
from portal.kernel import clock


class Consumer(models.Model):
    name = models.SlugField(max_length=60, unique=True)
    title = models.CharField(max_length=120, blank=True, default="")
    description = models.TextField(blank=True, default="")
    kind = models.CharField(
        max_length=20, default="service"
    )  # service, dashboard, warehouse, model
    team = models.ForeignKey(
        Team, null=True, blank=True, on_delete=models.PROTECT, related_name="consumers"
    )
    created_at = models.DateTimeField(default=clock.now)
    updated_at = models.DateTimeField(auto_now=True)
    revision = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def ref(self) -> ResourceRef:
        return ResourceRef("consumer", self.name)

    @property
    def owner_team_id(self) -> int | None:
        return self.team_id


class ConsumerMapping(models.Model):
    """A consumer declares that it reads a stream: which version, which fields, what for."""

    consumer = models.ForeignKey(Consumer, on_delete=models.CASCADE, related_name="mappings")
    stream = models.ForeignKey(Stream, on_delete=models.CASCADE, related_name="mappings")
    version = models.PositiveIntegerField(null=True, blank=True)
    fields = ArrayField(models.CharField(max_length=500), default=list, blank=True)
    purpose = models.TextField(blank=True, default="")
    since = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["consumer", "stream"], name="consumer_mapping_once"),
        ]
        indexes = [models.Index(fields=["stream"], name="consumer_mapping_stream")]

    def __str__(self) -> str:
        return f"{self.consumer} reads {self.stream}"
