"""Writing producers: who sends, where to, under which sources, with which keys."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from django.db import transaction
from django.db.models import F

from catalog.models import Producer, ProducerSource, ProducerStream, Stream
from catalog.services.domains import require_registrar
from governance import access, audit
from governance.errors import RoleNeededError, TeamNeededError
from governance.models import Key, Team
from governance.services.keys import create_key
from governance.types import Permission
from portal.kernel import clock
from portal.kernel.actor import Actor
from portal.kernel.errors import FieldError, InvalidError, PreconditionFailedError
from portal.kernel.once import only_once
from portal.kernel.slugs import check_slug

MAX_STREAMS: Final = 500
FACTS: Final = ("title", "description", "team", "default_domain")


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
    check_slug(name, pointer="/name")
    if default_domain:
        check_slug(default_domain, pointer="/default_domain")
    if team is not None and not actor.is_admin and team.pk not in actor.team_ids:
        raise TeamNeededError("Producers are made for a team of one's own.", "producer.manage")
    with only_once("There is a producer of this name already."):
        producer = Producer.objects.create(
            name=name,
            title=title,
            description=description,
            team=team,
            default_domain=default_domain,
            is_test=is_test,
        )
    permit(producer, actor=actor, streams=streams, globs=globs)
    _declare(producer, sources)
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
    streams_held = set(producer.permitted.values_list("stream", flat=True))
    globs_held = set(producer.permitted.values_list("glob", flat=True))
    for stream in streams:
        if stream.pk in streams_held:
            continue
        if not actor.is_admin:
            access.require(actor, Permission.PUBLISH, stream)
        ProducerStream.objects.get_or_create(producer=producer, stream=stream)
    globs = [glob for glob in globs if glob not in globs_held or not glob]
    if globs and not actor.is_admin:
        raise RoleNeededError("A pattern reaches streams to come; an admin gives it.", "admin")
    for glob in globs:
        if not 0 < len(glob) <= 200:
            raise InvalidError("A pattern has 1 to 200 characters.", code="glob")
        ProducerStream.objects.get_or_create(producer=producer, stream=None, glob=glob)


@transaction.atomic
def change_producer(
    producer: Producer, changes: Mapping[str, Any], *, actor: Actor, revision: int
) -> Producer:
    """Change facts of a producer, and which streams, patterns and sources are its own.

    `streams` are replaced as far as the actor may know of them. Raises PreconditionFailedError when
    somebody changed it since that revision.
    """
    require_team(producer.team_id, actor)
    if not changes:
        return producer
    facts = {name: changes[name] for name in FACTS if name in changes}
    if facts.get("team") is not None:
        require_team(facts["team"].pk, actor)
    if facts.get("default_domain"):
        check_slug(facts["default_domain"], pointer="/default_domain")
    moved = Producer.objects.filter(pk=producer.pk, revision=revision).update(
        **facts, revision=F("revision") + 1, updated_at=clock.now()
    )
    if not moved:
        raise PreconditionFailedError("It was changed since you read it. Read it again and retry.")
    if "streams" in changes:
        known = access.discoverable(actor, Stream.objects.all()).values("pk")
        producer.permitted.filter(stream__in=known).exclude(stream__in=changes["streams"]).delete()
    if "globs" in changes:
        gone = producer.permitted.exclude(glob="").exclude(glob__in=changes["globs"])
        gone.delete()
    permit(
        producer, actor=actor, streams=changes.get("streams", ()), globs=changes.get("globs", ())
    )
    if "sources" in changes:
        producer.sources.filter(declared=True).exclude(source__in=changes["sources"]).delete()
        _declare(producer, changes["sources"])
    producer.refresh_from_db()
    audit.record(
        actor,
        "producer.changed",
        producer.ref,
        summary=f"changed {', '.join(sorted(changes))} of the producer {producer.name}",
    )
    return producer


def _declare(producer: Producer, sources: Sequence[str]) -> None:
    for source in dict.fromkeys(sources):
        if not 0 < len(source) <= 500:
            raise InvalidError(
                "A source is out of bounds.",
                errors=[FieldError("/sources", "length", "must have 1 to 500 characters")],
            )
        ProducerSource.objects.update_or_create(
            producer=producer, source=source, defaults={"declared": True}
        )


@transaction.atomic
def create_producer_key(
    producer: Producer,
    *,
    actor: Actor,
    name: str = "",
    streams_glob: str = "*",
    expires_at: datetime | None = None,
    browser_origins: Sequence[str] = (),
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
        browser_origins=browser_origins,
    )


def require_team(team_id: int | None, actor: Actor, *, permission: str = "producer.manage") -> None:
    """Refuse whoever is neither of the team nor an admin."""
    if actor.is_admin or (team_id is not None and team_id in actor.team_ids):
        return
    raise TeamNeededError("Only its team and admins may do this.", permission)
