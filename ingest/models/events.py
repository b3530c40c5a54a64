"""Accepted events, read side. The tables are partitioned and made in migration 0001."""

from django.db import models


class Event(models.Model):
    """One accepted event. Identity (stream, occurred_at, event_id); position (tx, seq).

    Written only by `ingest.log.group`. `track` is 0 for production, 1 for experimental. `marks` are
    bit flags of `ingest.types.Mark`.
    """

    pk = models.CompositePrimaryKey("stream_id", "occurred_at", "event_id")
    stream_id = models.BigIntegerField()
    track = models.SmallIntegerField()
    occurred_at = models.DateTimeField()
    event_id = models.TextField()
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
    seq = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = "ingest_event"

    def __str__(self) -> str:
        return self.event_id
