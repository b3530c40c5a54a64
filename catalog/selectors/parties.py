"""Reading domains, tags, producers, consumers and their keys."""

from django.db.models import Count, Q, QuerySet

from catalog.models import Consumer, ConsumerMapping, Domain, Producer, Stream, Tag
from catalog.selectors.streams import visible_streams
from governance.models import Key
from portal.kernel.actor import Actor
from portal.kernel.errors import NotFoundError


def get_domain(slug: str) -> Domain:
    """One domain with its owner; their existence is no secret."""
    found = Domain.objects.select_related("owner_team").filter(slug=slug).first()
    if found is None:
        raise NotFoundError
    return found


def visible_tags(actor: Actor) -> QuerySet[Tag]:
    """Tags of streams the actor may know of, and those that nothing has."""
    known = Tag.objects.filter(streams__in=visible_streams(actor).values("pk"))
    return Tag.objects.filter(Q(pk__in=known.values("pk")) | Q(streams__isnull=True)).distinct()


def producers() -> QuerySet[Producer]:
    """All producers with their team; their existence is no secret."""
    return Producer.objects.select_related("team")


def counted_producers(actor: Actor) -> QuerySet[Producer]:
    """Producers with `stream_count`: their permissions on what the actor may know of."""
    known = Q(permitted__stream__in=visible_streams(actor).values("pk"))
    return producers().annotate(
        stream_count=Count("permitted", filter=known | ~Q(permitted__glob=""), distinct=True)
    )


def get_producer(name: str) -> Producer:
    """One producer with its team. Raises NotFoundError."""
    found = producers().filter(name=name).first()
    if found is None:
        raise NotFoundError
    return found


def streams_of_producer(actor: Actor, producer: Producer) -> list[str]:
    """The streams it may publish to by name, of those the actor may know of."""
    rows = visible_streams(actor).filter(permitted_producers__producer=producer)
    return list(rows.order_by("name").values_list("name", flat=True))


def consumers() -> QuerySet[Consumer]:
    """All consumers with their team; their existence is no secret."""
    return Consumer.objects.select_related("team")


def counted_consumers(actor: Actor) -> QuerySet[Consumer]:
    """Consumers with `stream_count`: the streams they read, of those the actor may know of."""
    known = Q(mappings__stream__in=visible_streams(actor).values("pk"))
    return consumers().annotate(stream_count=Count("mappings", filter=known, distinct=True))


def get_consumer(name: str) -> Consumer:
    """One consumer with its team. Raises NotFoundError."""
    found = consumers().filter(name=name).first()
    if found is None:
        raise NotFoundError
    return found


def keys_of(kind: str, holder_id: int) -> QuerySet[Key]:
    """The live keys of a producer ("prod") or consumer ("cons")."""
    return Key.objects.filter(kind=kind, holder_id=holder_id, revoked_at=None)


def visible_keys(actor: Actor) -> QuerySet[Key]:
    """The live keys a person may end: their own and those of their teams; all for admins."""
    return kept_keys(actor).filter(revoked_at=None)


def kept_keys(actor: Actor) -> QuerySet[Key]:
    """The keys a person may end, or might have: revoked ones too."""
    rows = Key.objects.all()
    if actor.is_admin:
        return rows
    if not actor.is_person:
        return rows.none()
    senders = Producer.objects.filter(team__in=actor.team_ids).values("pk")
    readers = Consumer.objects.filter(team__in=actor.team_ids).values("pk")
    return rows.filter(
        Q(user=actor.id)
        | Q(kind="prod", holder_id__in=senders)
        | Q(kind="cons", holder_id__in=readers)
    )


def get_key(actor: Actor, key_id: str) -> Key:
    """One live key that the actor may end; NotFoundError for missing and forbidden alike."""
    found = visible_keys(actor).filter(pk=key_id).first()
    if found is None:
        raise NotFoundError
    return found


def get_kept_key(actor: Actor, key_id: str) -> Key:
    """As `get_key`, revoked ones too: for what says why it is not done to those."""
    found = kept_keys(actor).filter(pk=key_id).first()
    if found is None:
        raise NotFoundError
    return found


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
        .select_related("stream", "consumer")
        .order_by("stream__name")
    )
