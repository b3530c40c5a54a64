"""Per-minute accounts of ingest: received = accepted + duplicate + dead-lettered.

`replayed` stands beside that sum: dead letters that were stored later, in the minute they were;
`repaired` are those of them that were changed before. What is stored is accepted + replayed.

Dead-lettered is told apart by reason in accounts of their own, written in the same transaction. How
long events take stands in histograms, which are samples and bound to no transaction.
"""

from django.db import models


class IngestMinute(models.Model):
    """Counts of one stream, producer and minute of receipt; stream 0 stands for unknown types.

    Upserted in the transaction that stores the events, so that it can't disagree with them. Writers
    that write at one time mostly have different slots; who reads takes the sum of them.
    """

    pk = models.CompositePrimaryKey("stream_id", "minute", "producer_id", "slot")
    stream_id = models.BigIntegerField()
    minute = models.DateTimeField()
    producer_id = models.BigIntegerField()
    received = models.BigIntegerField(default=0)
    accepted = models.BigIntegerField(default=0)
    duplicate = models.BigIntegerField(default=0)
    dead_lettered = models.BigIntegerField(default=0)
    invalid = models.BigIntegerField(default=0)
    violations = models.BigIntegerField(default=0)
    drift = models.BigIntegerField(default=0)
    replayed = models.BigIntegerField(default=0, db_default=0)
    repaired = models.BigIntegerField(default=0, db_default=0)
    slot = models.SmallIntegerField(default=0, db_default=0)

    class Meta:
        indexes = [
            models.Index(fields=["minute"], name="ingest_minute_minute"),
            models.Index(fields=["producer_id", "minute"], name="ingest_minute_producer"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(
                    received=models.F("accepted")
                    + models.F("duplicate")
                    + models.F("dead_lettered")
                ),
                name="ingest_minute_adds_up",
            )
        ]

    def __str__(self) -> str:
        return f"{self.stream_id} {self.minute}"


class DeprecatedUse(models.Model):
    """Accepted events of one stream, producer and day (UTC) that used what is deprecated.

    `kind` is `version` (the name its number) or `field` (the name its path); who still has to move.
    """

    pk = models.CompositePrimaryKey("stream_id", "day", "producer_id", "kind", "name")
    stream_id = models.BigIntegerField()
    day = models.DateField()
    producer_id = models.BigIntegerField()
    kind = models.CharField(max_length=7)
    name = models.CharField(max_length=500, db_collation="C")
    events = models.BigIntegerField()
    last_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["producer_id", "day"], name="ingest_use_producer")]

    def __str__(self) -> str:
        return f"{self.stream_id} {self.kind} {self.name}"


class RefusalMinute(models.Model):
    """Dead-lettered events of one stream, producer and minute by reason; stream 0: unknown types.

    Over the reasons they sum up to `dead_lettered` of the same account, since reasons are counted.
    """

    pk = models.CompositePrimaryKey("stream_id", "minute", "producer_id", "reason")
    stream_id = models.BigIntegerField()
    minute = models.DateTimeField()
    producer_id = models.BigIntegerField()
    reason = models.CharField(max_length=20, db_collation="C")
    events = models.BigIntegerField()

    class Meta:
        indexes = [models.Index(fields=["minute"], name="ingest_refusal_minute")]

    def __str__(self) -> str:
        return f"{self.stream_id} {self.minute} {self.reason}"


class LatencyMinute(models.Model):
    """One bucket of a histogram (`portal.kernel.log_buckets`) of one stream (0: of everything), measure
    (`ingest.log.latencies`) and minute; by hour, then by day, as it gets older."""

    pk = models.CompositePrimaryKey("stream_id", "measure", "minute", "bucket")
    stream_id = models.BigIntegerField()
    measure = models.SmallIntegerField()
    minute = models.DateTimeField()
    bucket = models.SmallIntegerField()
    events = models.BigIntegerField()

    class Meta:
        indexes = [models.Index(fields=["minute"], name="ingest_latency_minute")]

    def __str__(self) -> str:
        return f"{self.stream_id} {self.measure} {self.minute} {self.bucket}"
