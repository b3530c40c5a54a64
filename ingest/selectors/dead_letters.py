"""Reading dead letters: groups by cause, and single ones with their bytes.

The owner team of a stream, on-call and admins see them; those of unknown types on-call and admins.
A body may hold anything, personal values too, so it is shown only to who may read the payload.
"""

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import Count, Max, Min, Q, QuerySet

from catalog.models import Producer, Stream
from governance import access, audit
from governance.types import Permission, ResourceRef
from ingest.models import DeadLetter
from portal.kernel import clock
from portal.kernel.actor import Actor
from portal.kernel.errors import NotFoundError

KEPT: Final = timedelta(days=30)

SENTENCES: Final = {
    "unparsable": "The body could not be read",
    "envelope_invalid": "The envelope breaks a rule",
    "limit_exceeded": "Larger or deeper than an event may be",
    "unknown_stream": "Nobody registered this type",
    "not_permitted": "This producer may not publish here",
    "quarantined": "Its source is quarantined",
    "out_of_window": "Its time lies outside the window",
    "schema_unknown": "It names a version that does not exist",
    "version_retired": "It names a version that is retired",
    "schema_violation": "It breaks the contract",
    "privacy_refused": "A privacy rule refused it",
    "id_conflict": "Its id was used for other content",
}


@dataclass(frozen=True, slots=True)
class Group:
    """Dead letters of one cause. `key` names the group in addresses."""

    key: str
    reason: str
    sentence: str
    type: str
    stream: str | None
    producers: tuple[str, ...]
    count: int
    first_at: datetime
    last_at: datetime
    detail: str
    per_day: tuple[int, ...]

    @property
    def id(self) -> str:
        return group_id(self.key)


def visible_dead_letters(actor: Actor) -> QuerySet[DeadLetter]:
    """Dead letters the actor may see, of the last 30 days, newest first."""
    rows = DeadLetter.objects.filter(received_at__gte=clock.now() - KEPT)
    if actor.is_admin or actor.has_role("on_call"):
        return rows
    owned = access.permitted(actor, Permission.EDIT, Stream.objects.all())
    return rows.filter(stream_id__in=owned.values("pk"))


def groups(actor: Actor, *, limit: int = 50, state: str = "open") -> list[Group]:
    """The groups of dead letters in one state, largest first, with 14 days of counts."""
    rows = list(
        visible_dead_letters(actor)
        .filter(state=state)
        .values("group_key", "reason", "type", "stream_id")
        .annotate(count=Count("id"), first=Min("received_at"), last=Max("received_at"))
        .order_by("-count", "group_key")[:limit]
    )
    return [_group(actor, dict(row)) for row in rows]


def group_count(actor: Actor) -> int:
    """How many groups are open; at most 100 are counted."""
    rows = visible_dead_letters(actor).filter(state="open").values("group_key").distinct()
    return rows[:100].count()


def group_of(actor: Actor, key: str) -> Group:
    """One group by its key; NotFoundError without visible letters."""
    row = (
        visible_dead_letters(actor)
        .filter(group_key=key)
        .values("group_key", "reason", "type", "stream_id")
        .annotate(count=Count("id"), first=Min("received_at"), last=Max("received_at"))
        .order_by("group_key")
        .first()
    )
    if row is None:
        raise NotFoundError
    return _group(actor, dict(row))


def get_dead_letter(actor: Actor, letter_id: UUID) -> DeadLetter:
    found = visible_dead_letters(actor).filter(id=letter_id).first()
    if found is None:
        raise NotFoundError
    return found


def _group(actor: Actor, row: dict[str, Any]) -> Group:
    letters = visible_dead_letters(actor).filter(group_key=row["group_key"])
    newest = letters.order_by("-received_at").first()
    errors = newest.errors if newest is not None else []
    producer_ids = letters.values_list("producer_id", flat=True).distinct()[:5]
    names = Producer.objects.filter(pk__in=list(producer_ids)).values_list("name", flat=True)
    stream = Stream.objects.filter(pk=row["stream_id"]).values_list("name", flat=True).first()
    detail = f"{errors[0]['pointer']} {errors[0]['detail']}".strip() if errors else ""
    return Group(
        key=row["group_key"],
        reason=row["reason"],
        sentence=SENTENCES.get(row["reason"], row["reason"]),
        type=row["type"],
        stream=stream,
        producers=tuple(sorted(names)),
        count=row["count"],
        first_at=row["first"],
        last_at=row["last"],
        detail=detail,
        per_day=_per_day(letters),
    )


def _per_day(letters: QuerySet[DeadLetter], days: int = 14) -> tuple[int, ...]:
    midnight = clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    starts = [midnight - timedelta(days=offset) for offset in range(days - 1, -1, -1)]
    counted = letters.aggregate(
        **{
            f"d{index}": Count(
                "id",
                filter=Q(received_at__gte=start, received_at__lt=start + timedelta(days=1)),
            )
            for index, start in enumerate(starts)
        }
    )
    return tuple(counted[f"d{index}"] for index in range(days))


def group_id(key: str) -> str:
    """A group's key as it stands in addresses."""
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def key_of(group: str) -> str:
    """The key inside an address; NotFoundError for what was never one."""
    try:
        return base64.urlsafe_b64decode(group + "=" * (-len(group) % 4)).decode()
    except (ValueError, binascii.Error):
        raise NotFoundError from None


def producer_id(name: str) -> int:
    """The id of a producer by name; NotFoundError without one."""
    found = Producer.objects.filter(name=name).values_list("pk", flat=True).first()
    if found is None:
        raise NotFoundError
    return found


def ref_of(letter: DeadLetter) -> ResourceRef:
    """The stream a dead letter belongs to, by name; its type when it is unknown."""
    stream = Stream.objects.filter(pk=letter.stream_id or 0).first()
    return stream.ref if stream is not None else ResourceRef("stream", letter.type)


def readable_body(actor: Actor, letter: DeadLetter) -> str | None:
    """The bytes as text for who may read the payload; None for others.

    A refused event has passed no privacy rule, so nothing in it can be masked field by field:
    personal streams need the grant to personal fields. Each such read leaves an audit row.
    """
    stream = Stream.objects.filter(pk=letter.stream_id or 0).first()
    if stream is None:
        if not (actor.is_admin or actor.has_role("on_call")):
            return None
    else:
        needed = Permission.READ_PERSONAL if stream.is_personal else Permission.READ_PAYLOAD
        if not access.may(actor, needed, stream):
            return None
        if stream.is_personal:
            audit.record(
                actor,
                "dead_letter.personal_read",
                stream.ref,
                summary=f"saw a dead letter of {stream.name}",
                after={"dead_letter": str(letter.id)},
            )
    return bytes(letter.body).decode("utf-8", "replace")
