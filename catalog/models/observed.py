"""Observed reads: what the keys of consumers were given of a stream, by field and day."""

from typing import Final

from django.db import models

from catalog.models.consumers import Consumer
from catalog.models.streams import Stream

EVENTS: Final = ""  # the path that stands for the events themselves, whatever they show


class ObservedRead(models.Model):
    """Events of a stream that a consumer was given in a day (UTC), as far as they show a field.

    `path` is the field, or EVENTS.
    """

    # Who reads a stream at all is a short range of it: the rows of EVENTS.
    pk = models.CompositePrimaryKey("stream_id", "path", "consumer_id", "day")
    stream = models.ForeignKey(
        Stream, on_delete=models.CASCADE, related_name="observed_reads", db_index=False
    )
    consumer = models.ForeignKey(Consumer, on_delete=models.CASCADE, related_name="observed_reads")
    path = models.CharField(max_length=500, db_collation="C")
    day = models.DateField()
    events = models.BigIntegerField()
    last_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["day"], name="observed_read_day")]

    def __str__(self) -> str:
        return f"{self.consumer} was given {self.path or 'events'} of {self.stream}"
