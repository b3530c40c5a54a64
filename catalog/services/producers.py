"""Writing producers: who sends, where to, under which sources, with which keys."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from django.db import transaction

from catalog import naming
from catalog.models import Producer, ProducerSource, ProducerStream, Stream
from catalog.services.domains import require_registrar
from governance import access, audit
from governance.models import Key, Team
from governance.services.keys import create_key
from governance.types import Permission
from portal.kernel.actor import Actor
from portal.kernel.errors import ConflictError, FieldError, InvalidError, NotPermittedError

MAX_STREAMS: Final = 500


@transaction.atomic
def create_producer(
    name: str,
    *,
    actor: Actor,
    title: str = "",
    description: str = "",
    team: Team | None = None,
    default_domain: str = "",
    streams: Sequence[Stream] = (),
    globs: Sequence[str] = (),
    sources: Sequence[str] = (),
    is_test: bool = False,
) -> Producer:
    """Make a producer that may publish to the streams and patterns named.

    Each stream needs the permission publish; a pattern reaches streams to come, so it needs an
    admin. Raises ConflictError when the name is taken.
    """
    require_registrar(actor)
    naming.check_slug(name, pointer="/name")
    if default_domain:
        naming.check_slug(default_domain, pointer="/default_domain")
    if team is not None and not actor.is_admin and team.pk not in actor.team_ids:
        raise NotPermittedError("You can only make producers for a team of yours.", code="team")
    if Producer.objects.filter(name=name).exists():
        raise ConflictError("There is a producer of this name already.", code="name_taken")
    producer = Producer.objects.create(
        name=name,
        title=title,
        description=description,
        team=team,
        default_domain=default_domain,
        is_test=is_test,
    )
    permit(producer, actor=actor, streams=streams, globs=globs)
    for source in dict.fromkeys(sources):
        if not 0 < len(source) <= 500:
            raise InvalidError(
                "A source is out of bounds.",
                errors=[FieldError("/sources", "length", "must have 1 to 500 characters")],
            )
        ProducerSource.objects.create(producer=producer, source=source, declared=True)
    audit.record(
        actor,
        "producer.created",
        producer.ref,
        summary=f"made the producer {name}",
        after={"team": team.slug if team else None},
    )
    return producer


def permit(
    producer: Producer, *, actor: Actor, streams: Sequence[Stream] = (), globs: Sequence[str] = ()
) -> None:
    """Shared step: let the producer publish to streams and patterns."""
    if len(streams) + len(globs) > MAX_STREAMS:
        raise InvalidError(f"At most {MAX_STREAMS} streams and patterns.", code="too_many")
    if globs and not actor.is_admin:
        raise NotPermittedError("A pattern reaches streams to come; an admin gives it.")
    for stream in streams:
        if not actor.is_admin:
            access.require(actor, Permission.PUBLISH, stream)
        ProducerStream.objects.get_or_create(producer=producer, stream=stream)
    for glob in globs:
        if not 0 < len(glob) <= 200:
            raise InvalidError("A pattern has 1 to 200 characters.", code="glob")
        ProducerStream.objects.get_or_create(producer=producer, stream=None, glob=glob)


@transaction.atomic
def create_producer_key(
    producer: Producer,
    *,
    actor: Actor,
    name: str = "",
    streams_glob: str = "*",
    expires_at: datetime | None = None,
) -> tuple[Key, str]:
    """Make a key of a producer; its text is shown this once."""
    require_team(producer.team_id, actor)
    return create_key(
        actor=actor,
        kind="prod",
        name=name or producer.name,
        holder_id=producer.pk,
        streams_glob=streams_glob,
        expires_at=expires_at,
    )


def require_team(team_id: int | None, actor: Actor) -> None:
    """Refuse whoever is neither of the team nor an admin."""
    if actor.is_admin or (team_id is not None and team_id in actor.team_ids):
        return
    raise NotPermittedError("Only its team and admins may do this.", code="team")
