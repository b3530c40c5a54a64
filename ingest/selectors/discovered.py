"""Types that arrive and nobody registered: which, and the events of them that were kept.

Who may use them: on-call, admins and the team whose own producer sent them, for the shape. The values
in them are shown, as of any dead letter of an unknown type, to whom of these holds a grant to personal
fields there, and that leaves an audit row. A draft is made of all samples together, so its values are
shown only to who may read those of each producer among them.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet, Sum

from catalog.models import Producer, Stream, StreamAlias
from catalog.samples import Discovered, DiscoveredType
from governance import audit
from governance.types import ResourceRef
from ingest.log.alive import letters_alive_since
from ingest.models import DeadLetter, DiscoveredStream, LetterTotal
from ingest.privacy import sealing
from ingest.selectors import dead_letters
from portal.kernel import sql, strict_json
from portal.kernel.actor import Actor
from portal.kernel.errors import BadRequestError

MAX_LETTERS: Final = 200
MAX_BYTES: Final = 5 * 1024 * 1024
MAX_GROUPS: Final = 50
_AT_A_TIME: Final = 50
_NEWEST: Final = sql.load("ingest", "newest_of_type")


def open_types() -> QuerySet[DiscoveredStream]:
    """Types that arrived and are no stream's name or alias by now, latest first."""
    named = Stream.objects.filter(name=OuterRef("type"))
    known = StreamAlias.objects.filter(alias=OuterRef("type"))
    return (
        DiscoveredStream.objects.filter(state="open")
        .exclude(Exists(named))
        .exclude(Exists(known))
        .order_by("-last_seen_at")
    )


def visible_types(actor: Actor) -> QuerySet[DiscoveredStream]:
    """Open types that the actor may know of: all for on-call and admins, else of own producers."""
    rows = open_types()
    if _sees_all(actor):
        return rows
    if not actor.is_person:
        return rows.none()
    return rows.filter(producer_id__in=_own_producers(actor))


def types_for(actor: Actor, limit: int = 20) -> list[DiscoveredType]:
    """The types that the actor may register from their kept events."""
    return [DiscoveredType(row.type, row.events) for row in visible_types(actor)[:limit]]


def register_at(kind: str) -> str:
    """Where a type is registered from its kept events."""
    return f"/streams/new/?discovered={quote(kind, safe='')}"


def samples_of(actor: Actor, kind: str) -> Discovered:
    """The newest kept events of a type, MAX_LETTERS and MAX_BYTES at most."""
    groups = LetterTotal.objects.filter(
        type=kind, reason="unknown_stream", letters__gt=0, last_at__gte=letters_alive_since()
    )
    if not _sees_all(actor):
        groups = groups.filter(producer_id__in=_own_producers(actor))
    total = int(groups.aggregate(letters=Sum("letters"))["letters"] or 0)
    newest = groups.order_by("-last_at", "group_key").values_list("group_key", "producer_id")
    senders = dict(newest[:MAX_GROUPS])
    may_show = bool(senders) and all(
        dead_letters.may_read_unknown(actor, kind, producer) for producer in set(senders.values())
    )
    events: list[Any] = []
    size = 0
    for letter, body in _bodies(list(senders)):
        raw = sealing.opened(body, letter)
        size += len(raw)
        if size > MAX_BYTES:
            break
        event = _event(raw)
        if event is not None:
            events.append(event)
    if events and may_show:
        audit.record(
            actor,
            "dead_letter.personal_read",
            ResourceRef("stream", kind),
            summary=f"read {len(events)} dead letters of {kind} to register it",
            after={"dead_letters": len(events)},
        )
    return Discovered(kind, events, total, may_show)


def _bodies(keys: Sequence[str]) -> Iterator[tuple[UUID, bytes]]:
    """The newest letters of some groups with their bytes, which are fetched some at a time."""
    rows = sql.fetch_all(
        _NEWEST, {"keys": keys, "alive_since": letters_alive_since(), "most": MAX_LETTERS}
    )
    for first in range(0, len(rows), _AT_A_TIME):
        part = rows[first : first + _AT_A_TIME]
        found = dict(
            DeadLetter.objects.filter(
                id__in=[row["id"] for row in part],
                received_at__gte=part[-1]["received_at"],
                received_at__lte=part[0]["received_at"],
            ).values_list("id", "body")
        )
        yield from ((row["id"], bytes(found[row["id"]])) for row in part if row["id"] in found)


def _sees_all(actor: Actor) -> bool:
    return actor.is_admin or actor.has_role("on_call")


def _own_producers(actor: Actor) -> list[int]:
    """Producers of the actor's teams."""
    found = Producer.objects.filter(team__in=actor.team_ids)
    return list(found.values_list("pk", flat=True)[:500])


def _event(raw: bytes) -> dict[str, Any] | None:
    """The event in a letter's bytes; None for one cut short or without data that is an object."""
    try:
        found = strict_json.decode(raw)
    except BadRequestError:
        return None
    return found if isinstance(found, dict) else None
