"""Moving a stream between the tracks: the moment is set here, once, and what else goes with it."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import F, Subquery
from django.db.models.functions import Coalesce

from catalog.models import Stream
from catalog.services.policing import keep_stream_in_order
from catalog.services.schemas import lock
from catalog.tracks import LEAD, MAX_MOVES, as_on, moment_of_move
from catalog.types import Track
from governance import audit
from governance.models import AuditEntry
from portal.kernel import clock
from portal.kernel.actor import Actor
from portal.kernel.errors import InvalidStateError, NotPermittedError

_ACTION: Final = {Track.PRODUCTION: "stream.promoted", Track.EXPERIMENTAL: "stream.demoted"}
_SAID: Final = {Track.PRODUCTION: "to production", Track.EXPERIMENTAL: "back to trial"}

_newest: list[Callable[[int, datetime], datetime | None]] = []


def ask_for_newest(call: Callable[[int, datetime], datetime | None]) -> None:
    """Have an app above say the latest own time later than a moment among a stream's stored events;
    called once when that app is ready."""
    _newest.append(call)


def next_moment(stream: Stream) -> datetime:
    """From which moment on events would lie on the other track, were the stream moved now."""
    now = clock.now()
    newest = [found for call in _newest if (found := call(stream.pk, now)) is not None]
    return moment_of_move(
        now,
        ahead=timedelta(seconds=_widest_ahead(stream, now)),
        newest=max(newest, default=None),
        last=stream.track_moments[-1] if stream.track_moments else None,
    )


def _widest_ahead(stream: Stream, now: datetime) -> int:
    """How far ahead an event may be let in, by a process that missed the last changes too."""
    # Numbers follow time. The newest row that is older is found from the end of the primary key; the
    # rest goes by governance_audit_object.
    older = AuditEntry.objects.filter(at__lt=now - LEAD).order_by("-seq").values("seq")[:1]
    changes = AuditEntry.objects.filter(
        object_kind="stream", object_key=stream.name, action="stream.changed",
        seq__gt=Coalesce(Subquery(older), 0),
    )  # fmt: skip
    before = changes.values_list("detail__before__ahead_seconds", flat=True)
    return max([stream.ahead_seconds, *(known for known in before if isinstance(known, int))])


def move_stream(stream: Stream, to: Track, *, is_new: bool = False) -> datetime | None:
    """Shared step: move a stream; gives the moment from which on its events lie on the other track.

    None for one that `is_new`, made in this transaction: all its events lie there. Raises
    InvalidStateError when it is there already or moved too often, PolicyError where a policy
    stops it.
    """
    held = lock(stream)
    if held.track == to:
        raise InvalidStateError(f"The stream is on the {to} track already.")
    if len(held.track_moments) >= MAX_MOVES:
        raise InvalidStateError(f"A stream moves {MAX_MOVES} times at most.")
    moment = None if is_new else next_moment(held)
    moments = [*held.track_moments, *([] if moment is None else [moment])]
    moved = as_on(held, to)
    Stream.objects.filter(pk=held.pk).update(
        track=to,
        track_moments=moments,
        production_since=moments[-1] if moments and to == Track.PRODUCTION else None,
        retention_days=moved.retention_days,
        compatibility_mode=moved.compatibility_mode,
        revision=F("revision") + 1,
        updated_at=clock.now(),
    )
    stream.refresh_from_db()
    keep_stream_in_order(stream)
    return moment


def record_move(stream: Stream, moment: datetime | None, *, actor: Actor) -> None:
    """Shared step: the last of moving, because the audit chain is held from here on."""
    track = Track(stream.track)
    audit.record(
        actor,
        _ACTION[track],
        stream.ref,
        summary=f"moved {stream.name} {_SAID[track]}",
        after={"track": track, "moves_at": moment.isoformat() if moment else None},
    )


@transaction.atomic
def promote_stream(stream: Stream, *, actor: Actor, is_new: bool = False) -> Stream:
    """Move a stream to the production track without being asked to: by the portal itself alone.

    Its compatibility mode becomes transitive; it may be set back by hand. Who left its retention at
    the experimental default gets production's; a life that somebody chose stays.

    Raises NotPermittedError for anybody else, who asks (`catalog.services.promotions`), and what
    `move_stream` raises.
    """
    if not actor.is_system:
        raise NotPermittedError("A move to production is asked for, and others approve.")
    moment = move_stream(stream, Track.PRODUCTION, is_new=is_new)
    record_move(stream, moment, actor=actor)
    return stream
