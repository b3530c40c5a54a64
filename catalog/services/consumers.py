"""Writing consumers and the streams and fields they declare to read."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.db import transaction
from django.db.models import F

from catalog.models import Consumer, ConsumerMapping, Stream
from catalog.services.domains import require_registrar
from catalog.services.policing import broken_by_consumer, keep_consumer_in_order
from catalog.services.producers import require_team
from governance import access, audit
from governance.errors import TeamNeededError
from governance.models import Key, Team
from governance.services.keys import create_key
from governance.types import Permission
from portal.kernel import clock
from portal.kernel.actor import Actor
from portal.kernel.errors import FieldError, InvalidError, PreconditionFailedError
from portal.kernel.once import only_once
from portal.kernel.slugs import check_slug

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
    check_slug(name, pointer="/name")
    _check_kind(kind)
    if team is not None and not actor.is_admin and team.pk not in actor.team_ids:
        raise TeamNeededError("Consumers are made for a team of one's own.", "consumer.manage")
    with only_once("There is a consumer of this name already."):
        consumer = Consumer.objects.create(
            name=name, title=title, description=description, kind=kind, team=team
        )
    keep_consumer_in_order(consumer)
    audit.record(actor, "consumer.created", consumer.ref, summary=f"made the consumer {name}")
    return consumer


@transaction.atomic
def change_consumer(
    consumer: Consumer, changes: Mapping[str, Any], *, actor: Actor, revision: int
) -> Consumer:
    """Change title, description, kind or team, unless somebody changed it since that revision."""
    require_team(consumer.team_id, actor, permission="consumer.manage")
    if not changes:
        return consumer
    if changes.get("team") is not None:
        require_team(changes["team"].pk, actor, permission="consumer.manage")
    _check_kind(changes.get("kind", consumer.kind))
    broken = broken_by_consumer(consumer)
    moved = Consumer.objects.filter(pk=consumer.pk, revision=revision).update(
        **changes, revision=F("revision") + 1, updated_at=clock.now()
    )
    if not moved:
        raise PreconditionFailedError("It was changed since you read it. Read it again and retry.")
    consumer.refresh_from_db()
    keep_consumer_in_order(consumer, but=broken)
    audit.record(
        actor,
        "consumer.changed",
        consumer.ref,
        summary=f"changed {', '.join(sorted(changes))} of the consumer {consumer.name}",
    )
    return consumer


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise InvalidError(
            "Unknown kind.",
            errors=[FieldError("/kind", "choice", f"must be one of {', '.join(KINDS)}")],
        )


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
    require_team(consumer.team_id, actor, permission="consumer.manage")
    access.require(actor, Permission.DISCOVER, stream)
    broken = broken_by_consumer(consumer)
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
    keep_consumer_in_order(consumer, but=broken)
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
    require_team(consumer.team_id, actor, permission="consumer.manage")
    return create_key(actor=actor, kind="cons", name=name or consumer.name, holder_id=consumer.pk)
