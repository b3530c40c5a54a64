"""Who calls the registry: what a producer's key reaches, and which streams exist for whom."""

import re
from dataclasses import dataclass
from fnmatch import translate

from django.db.models import Q, QuerySet

from catalog.models import Producer, ProducerStream, Stream
from governance import access
from governance.models import Key
from governance.types import Permission
from portal.kernel.actor import Actor, ActorKind


@dataclass(frozen=True, slots=True)
class ProducerRights:
    """What a producer may publish to through one of its keys: by mapping, and by grant."""

    actor: Actor
    producer: Producer
    stream_ids: frozenset[int]
    patterns: tuple[re.Pattern[str], ...]
    key_pattern: re.Pattern[str]

    def covers(self, name: str) -> bool:
        """Whether it may publish to a stream of this name by pattern, were there one."""
        return bool(self.key_pattern.fullmatch(name)) and any(
            pattern.fullmatch(name) for pattern in self.patterns
        )

    def is_mapped(self, stream: Stream) -> bool:
        """Whether the key reaches a stream that its producer may publish to without an end."""
        if not self.key_pattern.fullmatch(stream.name):
            return False
        return stream.pk in self.stream_ids or self.covers(stream.name)

    def may_publish(self, stream: Stream) -> bool:
        """Whether the key reaches a stream that its producer may publish to now."""
        return self.is_mapped(stream) or access.may(self.actor, Permission.PUBLISH, stream)


def producer_rights(actor: Actor) -> ProducerRights | None:
    """The rights behind a producer's key; None for anybody else."""
    if actor.kind is not ActorKind.PRODUCER:
        return None
    producer = Producer.objects.select_related("team").filter(pk=actor.id).first()
    key = Key.objects.filter(pk=actor.key_id).first()
    if producer is None or key is None:
        return None
    permitted = ProducerStream.objects.filter(producer=producer).values_list("stream_id", "glob")
    return ProducerRights(
        actor=actor,
        producer=producer,
        stream_ids=frozenset(stream for stream, glob in permitted if not glob),
        patterns=tuple(re.compile(translate(glob)) for _, glob in permitted if glob),
        key_pattern=re.compile(translate(key.streams_glob)),
    )


def registry_streams(actor: Actor) -> QuerySet[Stream]:
    """The streams that exist for a caller. A producer knows the restricted ones of its team."""
    visible = access.condition(actor, Permission.DISCOVER, Stream)
    if actor.kind is ActorKind.PRODUCER:
        teams = Producer.objects.filter(pk=actor.id, team__isnull=False).values("team_id")
        visible |= Q(owner_team__in=teams)
    return Stream.objects.filter(visible)
