"""Reading producers and consumers."""

from django.db.models import Count, QuerySet

from catalog.models import Consumer, ConsumerMapping, Producer, Stream
from catalog.selectors.streams import visible_streams
from governance.models import Key
from portal.kernel.actor import Actor
from portal.kernel.errors import NotFoundError


def producers() -> QuerySet[Producer]:
    """All producers with their team and number of streams; their existence is no secret."""
    return Producer.objects.select_related("team").annotate(
        stream_count=Count("permitted", distinct=True)
    )


def get_producer(name: str) -> Producer:
    found = producers().filter(name=name).first()
    if found is None:
        raise NotFoundError
    return found


def consumers() -> QuerySet[Consumer]:
    return Consumer.objects.select_related("team").annotate(
        stream_count=Count("mappings", distinct=True)
    )


def get_consumer(name: str) -> Consumer:
    found = consumers().filter(name=name).first()
    if found is None:
        raise NotFoundError
    return found


def keys_of(kind: str, holder_id: int) -> QuerySet[Key]:
    """The live keys of a producer ("prod") or consumer ("cons"), newest first."""
    return Key.objects.filter(kind=kind, holder_id=holder_id, revoked_at=None).order_by(
        "-created_at"
    )


def readers_of(stream: Stream) -> QuerySet[ConsumerMapping]:
    """Who declared to read a stream."""
    return (
        ConsumerMapping.objects.filter(stream=stream)
        .select_related("consumer__team")
        .order_by("consumer__name")
    )


def producers_of(stream: Stream) -> list[Producer]:
    """Producers that are permitted to the stream by name."""
    return list(
        Producer.objects.filter(permitted__stream=stream)
        .select_related("team")
        .order_by("name")[:50]
    )


def mappings_of(actor: Actor, consumer: Consumer) -> QuerySet[ConsumerMapping]:
    """What a consumer reads, of the streams that the actor may know of."""
    return (
        ConsumerMapping.objects.filter(
            consumer=consumer, stream__in=visible_streams(actor).values("pk")
        )
        .select_related("stream")
        .order_by("stream__name")
    )
