"""What is known of storage: runs of its keepers, archived days, restores, and cached sizes."""

from django.db import models

from portal.kernel import clock
from portal.kernel.identifiers import uuid7


class StorageRun(models.Model):
    """One run of one keeper of storage. The newest of a kind says what it did last.

    At most one runs at a time, of whatever kind; one that has not said it lives for two minutes has
    died, and the next takes over.
    """

    kind = models.CharField(max_length=12)
    started_at = models.DateTimeField(default=clock.now)
    alive_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    result = models.JSONField(default=dict)
    failure = models.TextField(blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                models.Value(1), condition=models.Q(finished_at=None), name="storage_run_one_live"
            )
        ]
        indexes = [models.Index(fields=["kind", "-id"], name="storage_run_newest")]

    def __str__(self) -> str:
        return f"{self.kind} {self.started_at}"


class StorageLeaf(models.Model):
    """What was last seen of one day of one parent; `streams` are its events by stream id.

    `swept` names the streams whose life in it was over when it was last swept, so that a leaf is only
    looked into when that changes. `counted` is the size it had when its events were counted.
    """

    pk = models.CompositePrimaryKey("parent", "day")
    parent = models.CharField(max_length=40)
    day = models.DateField()
    swept = models.CharField(max_length=40, blank=True, default="")
    counted = models.CharField(max_length=60, blank=True, default="")
    size_bytes = models.BigIntegerField(default=0)
    streams = models.JSONField(default=dict)
    measured_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.parent} {self.day}"


class StorageStream(models.Model):
    """How much of the log is one stream's, as last counted. `size_bytes` is its share by events."""

    stream_id = models.BigIntegerField(primary_key=True)
    events = models.BigIntegerField()
    size_bytes = models.BigIntegerField()
    oldest_on = models.DateField()
    newest_on = models.DateField()

    class Meta:
        indexes = [models.Index(fields=["-size_bytes", "stream_id"], name="storage_stream_largest")]

    def __str__(self) -> str:
        return str(self.stream_id)


class StorageDay(models.Model):
    """How large a parent was on a day: its growth over time. The day's last measure stands."""

    pk = models.CompositePrimaryKey("parent", "day")
    parent = models.CharField(max_length=40)
    day = models.DateField()
    size_bytes = models.BigIntegerField()
    leaves = models.IntegerField()

    def __str__(self) -> str:
        return f"{self.parent} {self.day}"


class ArchivedPart(models.Model):
    """One verified file of archived events: those of a stream and day with a transaction from
    `from_tx` to below `below_tx`. The file is whole when the row exists; it ends with `last_at` and
    `last_id`, and `is_last` says that it was the last of those transactions.
    """

    stream_id = models.BigIntegerField()
    stream_name = models.CharField(max_length=255)
    day = models.DateField()
    track = models.SmallIntegerField()
    part = models.PositiveIntegerField()
    path = models.CharField(max_length=400, unique=True)
    events = models.BigIntegerField()
    size_bytes = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    content_sha256 = models.CharField(max_length=64)
    versions = models.JSONField(default=list)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    last_id = models.TextField(default="", blank=True)
    is_last = models.BooleanField(default=False)
    from_tx = models.BigIntegerField()
    below_tx = models.BigIntegerField()
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["stream_id", "day", "part"], name="archived_part"),
        ]
        indexes = [models.Index(fields=["-day", "stream_id", "part"], name="archived_newest")]

    def __str__(self) -> str:
        return self.path


class Restore(models.Model):
    """Archived days of a stream that were loaded to be read again, until `expires_at`."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    stream_id = models.BigIntegerField()
    since = models.DateField()
    until = models.DateField()
    state = models.CharField(
        max_length=8,
        choices=[("loading", "loading"), ("ready", "ready"), ("failed", "failed")],
        default="loading",
    )
    said = models.TextField(blank=True, default="")
    events = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(default=clock.now)
    created_by = models.CharField(max_length=254)
    expires_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["stream_id", "-created_at"], name="restore_stream")]

    def __str__(self) -> str:
        return f"{self.stream_id} {self.since} {self.until}"


class RestoredEvent(models.Model):
    """An event out of the archive, as it was in the log. Written only by a restore."""

    pk = models.CompositePrimaryKey("restore_id", "occurred_at", "event_id")
    restore_id = models.UUIDField()
    stream_id = models.BigIntegerField()
    track = models.SmallIntegerField()
    occurred_at = models.DateTimeField()
    event_id = models.TextField(db_collation="C")
    received_at = models.DateTimeField()
    producer_id = models.BigIntegerField()
    version = models.IntegerField(null=True)
    subject = models.TextField(null=True)  # noqa: DJ001  # absent and empty differ on the wire
    source = models.TextField()
    attributes = models.JSONField()
    data = models.JSONField(null=True)
    data_base64 = models.BinaryField(null=True)
    extra = models.JSONField(null=True)
    content_hash = models.BinaryField()
    marks = models.SmallIntegerField()
    tx = models.BigIntegerField()
    seq = models.BigIntegerField()

    def __str__(self) -> str:
        return self.event_id


class FieldExpiry(models.Model):
    """How far the fields of a stream with a life of their own are gone.

    `plan` names what was followed: another plan begins anew. Everything before `done_before` was
    looked at; what came later with an older time is found by `from_tx`.
    """

    stream_id = models.BigIntegerField()
    days = models.PositiveIntegerField()
    plan = models.CharField(max_length=64)
    done_before = models.DateTimeField(null=True)
    from_tx = models.BigIntegerField(default=0)
    changed = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["stream_id", "days"], name="field_expiry_one")
        ]

    def __str__(self) -> str:
        return f"{self.stream_id} {self.days}"
