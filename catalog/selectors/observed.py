"""Who reads a stream: what consumers declared, beside what their keys were seen to read.

Who may know of a stream sees both. Counts are kept 400 days (`catalog.services.observed_reads`);
volumes are of the last 30.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import BigIntegerField, Max, Q, QuerySet, Sum
from django.db.models.functions import Cast, Coalesce

from catalog.models import Consumer, ConsumerMapping, ObservedRead, Stream
from catalog.models.observed import EVENTS
from catalog.selectors.streams import visible_streams
from catalog.touched import is_about
from portal.kernel import clock
from portal.kernel.actor import Actor

DAYS: Final = 30


@dataclass(frozen=True, slots=True)
class FieldRead:
    """A field that a consumer was given; `events` are those of the last 30 days that showed it."""

    path: str
    events: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Observed:
    """What a consumer was given of a stream. Without `fields` only its events could be counted."""

    events: int
    last_at: datetime
    fields: tuple[FieldRead, ...]


@dataclass(frozen=True, slots=True)
class Reader:
    """A consumer of a stream: what it declared and what it was seen to read, one of both at least."""

    consumer: Consumer
    stream: Stream
    mapping: ConsumerMapping | None
    observed: Observed | None

    @property
    def declared_fields(self) -> Sequence[str]:
        """The fields that it declared; none where it declared the stream and named none."""
        return self.mapping.fields if self.mapping is not None else ()

    @property
    def unread(self) -> list[str]:
        """Fields that it declared and was never seen to read, of a stream that it was seen to read."""
        read = self.observed.fields if self.observed is not None else ()
        if not read:
            return []
        return [
            path
            for path in self.declared_fields
            if not any(is_about(path, one.path) for one in read)
        ]

    @property
    def undeclared(self) -> frozenset[str]:
        """Fields that it was given beyond those that it declared; none where it named none."""
        declared = self.declared_fields
        if self.observed is None or not declared:
            return frozenset()
        return frozenset(
            one.path
            for one in self.observed.fields
            if not any(is_about(one.path, path) for path in declared)
        )


def all_readers(stream: Stream) -> QuerySet[Consumer]:
    """Who declared to read a stream, and who was seen to, with their team."""
    declared = ConsumerMapping.objects.filter(stream=stream).values("consumer")
    return Consumer.objects.select_related("team").filter(
        Q(pk__in=declared) | Q(pk__in=_seen(stream=stream).values("consumer"))
    )


def seen_readers(stream: Stream) -> QuerySet[Consumer]:
    """Who was seen to read a stream, with their team."""
    seen = _seen(stream=stream).values("consumer")
    return Consumer.objects.select_related("team").filter(pk__in=seen)


def described_readers(stream: Stream, consumers: Sequence[Consumer]) -> list[Reader]:
    """What each of some consumers declared and was seen to read of a stream, in their order."""
    mappings = {
        row.consumer_id: row
        for row in ConsumerMapping.objects.filter(stream=stream, consumer__in=consumers)
    }
    rows = ObservedRead.objects.filter(stream=stream, consumer__in=consumers)
    observed = _gathered(rows.values_list("consumer_id", "path"))
    return [Reader(one, stream, mappings.get(one.pk), observed.get(one.pk)) for one in consumers]


def readings_of(actor: Actor, consumer: Consumer, *, limit: int) -> list[Reader]:
    """What a consumer declared and was seen to read, of the streams that the actor may know of; the
    first by name."""
    declared = ConsumerMapping.objects.filter(consumer=consumer)
    streams = visible_streams(actor).filter(
        Q(pk__in=declared.values("stream")) | Q(pk__in=_seen(consumer=consumer).values("stream"))
    )
    shown = list(streams.order_by("name")[:limit])
    mappings = {row.stream_id: row for row in declared.filter(stream__in=shown)}
    rows = ObservedRead.objects.filter(consumer=consumer, stream__in=shown)
    observed = _gathered(rows.values_list("stream_id", "path"))
    return [Reader(consumer, one, mappings.get(one.pk), observed.get(one.pk)) for one in shown]


def _seen(**whose: Any) -> QuerySet[ObservedRead]:
    """The rows of whole events: of a stream a short range of the primary key."""
    return ObservedRead.objects.filter(path=EVENTS, **whose)


def _gathered(rows: QuerySet[ObservedRead, tuple[Any, ...]]) -> Mapping[int, Observed]:
    """Rows of (whose, path), summed up by whose they are."""
    since = (clock.now() - timedelta(days=DAYS)).date()
    recent = Coalesce(Sum("events", filter=Q(day__gt=since)), 0)
    counted = rows.annotate(recent=Cast(recent, BigIntegerField()), latest=Max("last_at")).order_by(
        "path"
    )
    fields: dict[int, list[FieldRead]] = {}
    whole: dict[int, FieldRead] = {}
    for whose, path, events, last_at in counted:
        found = FieldRead(path, events, last_at)
        if path == EVENTS:
            whole[whose] = found
        else:
            fields.setdefault(whose, []).append(found)
    return {
        whose: Observed(one.events, one.last_at, tuple(fields.get(whose, ())))
        for whose, one in whole.items()
    }


def latest_of(reads: Iterable[FieldRead]) -> tuple[int, datetime] | None:
    """How many events of the last 30 days showed some fields, at least, and when one last did."""
    found = list(reads)
    if not found:
        return None
    return max(one.events for one in found), max(one.last_at for one in found)
