"""Producers: who sends events, under which sources, to which streams."""

from django.db import models

from catalog.models.streams import Stream
from governance.models import Key, Team
from governance.types import ResourceRef
from portal.kernel import clock


class Producer(models.Model):
    name = models.SlugField(max_length=60, unique=True)
    title = models.CharField(max_length=120, blank=True, default="")
    description = models.TextField(blank=True, default="")
    team = models.ForeignKey(
        Team, null=True, blank=True, on_delete=models.PROTECT, related_name="producers"
    )
    default_domain = models.SlugField(max_length=60, blank=True, default="")
    is_test = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=clock.now)
    updated_at = models.DateTimeField(auto_now=True)
    revision = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def ref(self) -> ResourceRef:
        return ResourceRef("producer", self.name)

    @property
    def owner_team_id(self) -> int | None:
        return self.team_id


class ProducerSource(models.Model):
    """A CloudEvents `source` of a producer: declared by people, or seen in events."""

    producer = models.ForeignKey(Producer, on_delete=models.CASCADE, related_name="sources")
    source = models.CharField(max_length=500)
    declared = models.BooleanField(default=False)
    first_seen_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["producer", "source"], name="producer_source_once"),
        ]

    def __str__(self) -> str:
        return self.source


class KeyStreamQuota(models.Model):
    """How many events a second one key may send to one stream, beside the key's own quota."""

    key = models.ForeignKey(Key, on_delete=models.CASCADE, related_name="stream_quotas")
    stream = models.ForeignKey(Stream, on_delete=models.CASCADE, related_name="key_quotas")
    events_per_second = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["key", "stream"], name="key_stream_quota_once"),
        ]

    def __str__(self) -> str:
        return f"{self.key_id} to {self.stream}"


class ProducerStream(models.Model):
    """A stream the producer may publish to. `glob` covers names, also of streams to come."""

    producer = models.ForeignKey(Producer, on_delete=models.CASCADE, related_name="permitted")
    stream = models.ForeignKey(
        Stream, null=True, blank=True, on_delete=models.CASCADE, related_name="permitted_producers"
    )
    glob = models.CharField(max_length=200, blank=True, default="")
    since = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(stream__isnull=False) ^ ~models.Q(glob=""),
                name="producer_stream_or_glob",
            ),
            models.UniqueConstraint(fields=["producer", "stream"], name="producer_stream_once"),
            models.UniqueConstraint(
                fields=["producer", "glob"],
                condition=~models.Q(glob=""),
                name="producer_glob_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.producer} to {self.stream or self.glob}"
