"""Credentials of people, producers, consumers and flag clients: only their SHA-256 is kept."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from governance.models.people import User
from portal.kernel import clock


class KeyKind(models.TextChoices):
    USER = "user"
    PRODUCER = "prod"
    CONSUMER = "cons"
    FLAG = "flag"


class Key(models.Model):
    """`ep_<kind>_<id>_<secret>`. `holder_id` names the producer, consumer or flag client."""

    id = models.CharField(primary_key=True, max_length=8)
    kind = models.CharField(max_length=8, choices=KeyKind.choices)
    name = models.CharField(max_length=120)
    secret_sha256 = models.BinaryField(max_length=32)
    user = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.CASCADE, related_name="keys"
    )
    holder_id = models.BigIntegerField(null=True, blank=True)
    scopes = ArrayField(models.CharField(max_length=16), default=list, blank=True)
    streams_glob = models.CharField(max_length=200, default="*")
    browser_origins = ArrayField(models.CharField(max_length=253), default=list, blank=True)
    events_per_second = models.PositiveIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(default=clock.now)
    created_by = models.CharField(max_length=254, default="", blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(kind="user", user__isnull=False)
                | (~models.Q(kind="user") & models.Q(holder_id__isnull=False)),
                name="key_has_holder",
            )
        ]
        indexes = [models.Index(fields=["kind", "holder_id"], name="key_holder")]

    def __str__(self) -> str:
        return f"{self.name} ({self.id})"


class KeyMinute(models.Model):
    """What one key sent in a minute, and how many of its requests were turned away, by reason.

    `events` is everything that was read, whatever became of it. Written some seconds later by each
    web process: for people to look at, not for decisions.
    """

    pk = models.CompositePrimaryKey("key_id", "minute")
    key_id = models.CharField(max_length=8, db_collation="C")
    minute = models.DateTimeField()
    events = models.BigIntegerField(default=0)
    quota_key = models.BigIntegerField(default=0)
    quota_stream = models.BigIntegerField(default=0)
    busy = models.BigIntegerField(default=0)

    class Meta:
        indexes = [models.Index(fields=["minute"], name="key_minute_minute")]

    def __str__(self) -> str:
        return f"{self.key_id} {self.minute}"


class RefusalTotal(models.Model):
    """Requests turned away before they were read, ever, by reason; for /metrics."""

    reason = models.CharField(primary_key=True, max_length=20, db_collation="C")
    requests = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return self.reason
