"""The end of a stream: deprecated with a sunset and a way on, taken back, retired.

active ──deprecate──▶ deprecated ──on its day, or by hand──▶ retired
   ▲──────reactivate──────┘

Events that name a retired stream become dead letters `version_retired`; ingest judges the sunset by
itself, so the day needs no job to be effective.
"""

from datetime import datetime
from typing import Final

from django.db import transaction
from django.db.models import F

from catalog.models import Stream
from catalog.services.schemas import lock
from catalog.services.telling import tell_of_deprecation, tell_of_retirement, tell_of_stream
from catalog.types import Lifecycle
from governance import access, audit
from governance.types import NoticeKind, Permission
from portal.kernel import clock
from portal.kernel.actor import SYSTEM, Actor
from portal.kernel.errors import FieldError, InvalidError, InvalidStateError

MAX_NOTE: Final = 4_000
_BATCH: Final = 500


@transaction.atomic
def deprecate_stream(
    stream: Stream,
    *,
    actor: Actor,
    sunset_at: datetime,
    migration: str = "",
    successor: Stream | None = None,
) -> Stream:
    """Say until when a stream will live, how to move on and what to use instead.

    Raises InvalidStateError unless it is active, InvalidError when the sunset does not lie ahead
    or the successor leads back to it or is at its end itself.
    """
    access.require(actor, Permission.APPROVE, stream)
    _check(stream, sunset_at, migration, successor)
    moved = Stream.objects.filter(pk=stream.pk, lifecycle=Lifecycle.ACTIVE).update(
        lifecycle=Lifecycle.DEPRECATED,
        deprecated_at=clock.now(),
        sunset_at=sunset_at,
        migration_note=migration.strip(),
        successor=successor,
        revision=F("revision") + 1,
        updated_at=clock.now(),
    )
    if moved != 1:
        raise InvalidStateError("Only an active stream can be deprecated.")
    stream.refresh_from_db()
    # The successor is not named: each reader's page of the stream does, if they may know of it.
    tell_of_deprecation(stream, stream.name, sunset_at, migration.strip(), by=actor)
    audit.record(
        actor,
        "stream.deprecated",
        stream.ref,
        summary=f"deprecated {stream.name} until {sunset_at:%Y-%m-%d}",
        after={
            "sunset_at": sunset_at.isoformat(),
            "migration": migration.strip(),
            "successor": successor.name if successor else None,
        },
    )
    return stream


@transaction.atomic
def reactivate_stream(stream: Stream, *, actor: Actor) -> Stream:
    """Take a deprecation back, while its sunset lies ahead."""
    access.require(actor, Permission.APPROVE, stream)
    before = {
        "sunset_at": stream.sunset_at.isoformat() if stream.sunset_at else None,
        "migration": stream.migration_note,
    }
    moved = (
        Stream.objects.filter(pk=stream.pk, lifecycle=Lifecycle.DEPRECATED)
        .exclude(sunset_at__lte=clock.now())
        .update(
            lifecycle=Lifecycle.ACTIVE,
            deprecated_at=None,
            sunset_at=None,
            migration_note="",
            successor=None,
            revision=F("revision") + 1,
            updated_at=clock.now(),
        )
    )
    if moved != 1:
        raise InvalidStateError("Only a deprecated stream before its sunset can be taken back.")
    stream.refresh_from_db()
    tell_of_stream(
        stream,
        NoticeKind.CHANGED,
        f"{stream.name} stays",
        "That it is deprecated was taken back.",
        by=actor,
    )
    audit.record(
        actor,
        "stream.reactivated",
        stream.ref,
        summary=f"took back that {stream.name} is deprecated",
        before=before,
    )
    return stream


@transaction.atomic
def retire_stream(stream: Stream, *, actor: Actor) -> Stream:
    """End a deprecated stream before its day, for good: its events are refused from now on."""
    access.require(actor, Permission.APPROVE, stream)
    return _retire(stream, actor)


def retire_due_streams() -> int:
    """Retire the deprecated streams whose day has come; gives how many. Safe to run twice."""
    due = Stream.objects.filter(lifecycle=Lifecycle.DEPRECATED, sunset_at__lte=clock.now())
    count = 0
    for found in due.order_by("sunset_at", "pk")[:_BATCH]:
        with transaction.atomic():
            held = lock(found)
            is_due = held.sunset_at is not None and held.sunset_at <= clock.now()
            if held.lifecycle == Lifecycle.DEPRECATED and is_due:
                _retire(held, SYSTEM)
                count += 1
    return count


def _retire(stream: Stream, actor: Actor) -> Stream:
    moved = Stream.objects.filter(pk=stream.pk, lifecycle=Lifecycle.DEPRECATED).update(
        lifecycle=Lifecycle.RETIRED,
        retired_at=clock.now(),
        revision=F("revision") + 1,
        updated_at=clock.now(),
    )
    if moved != 1:
        raise InvalidStateError("Only a deprecated stream can be retired.")
    stream.refresh_from_db()
    tell_of_retirement(stream, stream.name, by=actor)
    audit.record(actor, "stream.retired", stream.ref, summary=f"retired {stream.name}")
    return stream


def _check(stream: Stream, sunset_at: datetime, migration: str, successor: Stream | None) -> None:
    faults = []
    if sunset_at <= clock.now():
        faults.append(FieldError("/sunset_at", "past", "must lie ahead"))
    if len(migration) > MAX_NOTE or "\0" in migration:
        faults.append(FieldError("/migration", "too_long", f"at most {MAX_NOTE:,} characters"))
    if successor is not None and _leads_to(successor, stream):
        faults.append(FieldError("/successor", "circle", "leads back to this stream"))
    elif successor is not None and successor.lifecycle not in (Lifecycle.ACTIVE, Lifecycle.DRAFT):
        faults.append(FieldError("/successor", "ended", f"is {successor.lifecycle} itself"))
    if faults:
        raise InvalidError("The deprecation breaks a rule.", errors=faults)


def _leads_to(start: Stream, goal: Stream) -> bool:
    """Whether following successors from one stream comes to another."""
    seen: set[int] = set()
    now: Stream | None = start
    while now is not None and now.pk not in seen:
        if now.pk == goal.pk:
            return True
        seen.add(now.pk)
        now = now.successor
    return False
