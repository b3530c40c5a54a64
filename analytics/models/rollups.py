"""Counts that readers of the event log keep, and how far each of them has read."""

from django.db import models


class StreamCount(models.Model):
    """Accepted events of one stream in one window of five minutes of event time."""

    pk = models.CompositePrimaryKey("stream_id", "start")
    stream_id = models.BigIntegerField()
    start = models.DateTimeField()
    events = models.BigIntegerField()
    revision = models.PositiveIntegerField(default=1)

    class Meta:
        indexes = [models.Index(fields=["start"], name="stream_count_start")]
        constraints = [
            models.CheckConstraint(condition=models.Q(events__gte=0), name="stream_count_positive")
        ]

    def __str__(self) -> str:
        return f"{self.stream_id} {self.start:%Y-%m-%d %H:%M} {self.events}"


class ReaderOffset(models.Model):
    """The position (tx, seq) up to which a reader inside the database has read, inclusive.

    Moved in the transaction that writes the reader's output: exactly once.
    """

    reader = models.CharField(primary_key=True, max_length=60)
    tx = models.BigIntegerField(default=0)
    seq = models.BigIntegerField(default=0)
    moved_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.reader} at {self.tx}/{self.seq}"
