"""Who sends and who reads a stream, as a file from outside names them.

A producer or consumer that is not here is made, for the stream's team; one that is here is only
tied to the stream, by who may change it.
"""

from django.db.models import F

from catalog.models import Consumer, ConsumerMapping, Producer, Stream
from catalog.services.consumers import create_consumer, map_consumer
from catalog.services.producers import create_producer, permit, require_team
from governance import audit
from governance.models import Team
from portal.kernel import clock
from portal.kernel.actor import Actor


def let_send(name: str, stream: Stream, *, actor: Actor) -> bool:
    """Let the producer of that name publish to the stream; False when it may already."""
    producer = Producer.objects.filter(name=name).first()
    if producer is None:
        create_producer(name, actor=actor, team=_team_for(stream, actor), streams=[stream])
        return True
    if producer.permitted.filter(stream=stream).exists():
        return False
    require_team(producer.team_id, actor)
    permit(producer, actor=actor, streams=[stream])
    Producer.objects.filter(pk=producer.pk).update(
        revision=F("revision") + 1, updated_at=clock.now()
    )
    audit.record(
        actor,
        "producer.changed",
        producer.ref,
        summary=f"let the producer {producer.name} publish to {stream.name}",
    )
    return True


def let_read(name: str, stream: Stream, *, actor: Actor) -> bool:
    """Declare that the consumer of that name reads the stream; False when it is declared."""
    consumer = Consumer.objects.filter(name=name).first()
    if consumer is None:
        consumer = create_consumer(name, actor=actor, team=_team_for(stream, actor))
    elif ConsumerMapping.objects.filter(consumer=consumer, stream=stream).exists():
        return False
    map_consumer(consumer, stream, actor=actor)
    return True


def _team_for(stream: Stream, actor: Actor) -> Team | None:
    """The stream's team, where the actor may make something for it."""
    team = stream.owner_team
    return team if team is not None and (actor.is_admin or team.pk in actor.team_ids) else None
