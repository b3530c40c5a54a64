"""Refused events and the types nobody registered yet, read side (tables in migration 0001)."""

from django.db import models


class DeadLetter(models.Model):
    """One refused event with its reason and its bytes. Partitioned by day of receipt.

    `tried` says what the last replay met that left it refused; `repair_id` which one stored it.
    """

    pk = models.CompositePrimaryKey("received_at", "id")
    id = models.UUIDField()
    received_at = models.DateTimeField()
    stream_id = models.BigIntegerField(null=True)
    producer_id = models.BigIntegerField()
    type = models.TextField()
    event_id = models.TextField()
    occurred_at = models.DateTimeField(null=True)
    source = models.TextField()
    reason = models.TextField()
    errors = models.JSONField()
    body = models.BinaryField()
    content_type = models.TextField()
    body_sha256 = models.BinaryField()
    group_key = models.TextField()
    state = models.TextField()
    decided_at = models.DateTimeField(null=True)
    decided_by = models.TextField(null=True)  # noqa: DJ001  # null until decided
    repair_id = models.UUIDField(null=True)
    decision = models.TextField(null=True)  # noqa: DJ001  # null until discarded
    tried = models.JSONField(null=True)

    class Meta:
        managed = False
        db_table = "ingest_dead_letter"

    def __str__(self) -> str:
        return f"{self.reason} {self.type}"


class LetterCount(models.Model):
    """How many letters of a group came on a day and are in a state; `stream_id` 0 for those of none.

    Kept by triggers of the letters' table (migration 0015), as `LetterTotal`. A count may be 0.
    """

    pk = models.CompositePrimaryKey("group_key", "state", "stream_id", "day")
    group_key = models.TextField()
    state = models.TextField()
    stream_id = models.BigIntegerField()
    day = models.DateField()
    letters = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = "ingest_lettercount"

    def __str__(self) -> str:
        return f"{self.letters} of {self.group_key} on {self.day}"


class LetterTotal(models.Model):
    """The same over all days that are kept. `first_at` and `last_at` are of those that were in the
    state since it was empty last."""

    pk = models.CompositePrimaryKey("group_key", "state", "stream_id")
    group_key = models.TextField()
    state = models.TextField()
    stream_id = models.BigIntegerField()
    reason = models.TextField()
    type = models.TextField()
    producer_id = models.BigIntegerField()
    letters = models.BigIntegerField()
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "ingest_lettertotal"

    def __str__(self) -> str:
        return f"{self.letters} of {self.group_key}"


class DiscoveredStream(models.Model):
    """An event type that arrived and is not registered."""

    type = models.TextField(primary_key=True, db_collation="C")
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    events = models.BigIntegerField(default=0)
    producer_id = models.BigIntegerField()
    state = models.CharField(max_length=12, default="open")

    class Meta:
        indexes = [models.Index(fields=["-last_seen_at"], name="discovered_latest")]

    def __str__(self) -> str:
        return self.type
