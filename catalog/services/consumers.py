"""Writing consumers and the streams and fields they declare to read."""

from collections.abc import Sequence
from typing import Final

from django.db import transaction

from catalog import naming
from catalog.models import Consumer, ConsumerMapping, Stream
from catalog.services.domains import require_registrar
from catalog.services.producers import require_team
from governance import access, audit
from governance.models import Key, Team
from governance.services.keys import create_key
from governance.types import Permission
from portal.kernel.actor import Actor
from portal.kernel.errors import ConflictError, FieldError, InvalidError, NotPermittedError

KINDS: Final = ("service", "dashboard", "warehouse", "model", "experiment")
MAX_FIELDS: Final = 500


@transaction.atomic
def create_consumer(
    name: str,
    *,
    actor: Actor,
    title: str = "",
    description: str = "",
    kind: str = "service",
    team: Team | None = None,
) -> Consumer:
    """Make a consumer. Raises ConflictError when the name is taken."""
    require_registrar(actor)
    naming.check_slug(name, pointer="/name")
    if kind not in KINDS:
        raise InvalidError(
            "Unknown kind.",
            errors=[FieldError("/kind", "choice", f"must be one of {', '.join(KINDS)}")],
        )
    if team is not None and not actor.is_admin and team.pk not in actor.team_ids:
        raise NotPermittedError("You can only make consumers for a team of yours.", code="team")
    if Consumer.objects.filter(name=name).exists():
        raise ConflictError("There is a consumer of this name already.", code="name_taken")
    consumer = Consumer.objects.create(
        name=name, title=title, description=description, kind=kind, team=team
    )
    audit.record(actor, "consumer.created", consumer.ref, summary=f"made the consumer {name}")
    return consumer


@transaction.atomic
def map_consumer(
    consumer: Consumer,
    stream: Stream,
    *,
    actor: Actor,
    fields: Sequence[str] = (),
    version: int | None = None,
    purpose: str = "",
) -> ConsumerMapping:
    """Declare that a consumer reads a stream: which fields, what for. Again: replaces it.

    Raises InvalidError when a field is not in the stream's current contract.
    """
    require_team(consumer.team_id, actor)
    access.require(actor, Permission.DISCOVER, stream)
    wanted = list(dict.fromkeys(fields))[:MAX_FIELDS]
    known = set(
        stream.fields.filter(is_current=True, path__in=wanted).values_list("path", flat=True)
    )
    if missing := [path for path in wanted if path not in known]:
        raise InvalidError(
            "The stream's contract lacks some of the fields.",
            errors=[
                FieldError(f"/fields/{wanted.index(path)}", "unknown_field", "is not in it")
                for path in missing
            ],
        )
    mapping, _ = ConsumerMapping.objects.update_or_create(
        consumer=consumer,
        stream=stream,
        defaults={"fields": wanted, "version": version, "purpose": purpose},
    )
    audit.record(
        actor,
        "consumer.mapped",
        stream.ref,
        summary=f"declared that {consumer.name} reads {stream.name}",
        after={"fields": wanted},
    )
    return mapping


@transaction.atomic
def create_consumer_key(consumer: Consumer, *, actor: Actor, name: str = "") -> tuple[Key, str]:
    """Make a key of a consumer; its text is shown this once."""
    require_team(consumer.team_id, actor)
    return create_key(actor=actor, kind="cons", name=name or consumer.name, holder_id=consumer.pk)
