"""Reading dead letters: groups by cause, and single ones with their bytes.

The owner team of a stream, on-call and admins see them; those of unknown types on-call and admins.
A body may hold anything, personal values too, so it is shown only to who may read the payload; where
no privacy plan was known for it, or its stream is personal, to who may read personal fields.
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any, Final
from uuid import UUID

from django.db.models import BigIntegerField, Count, Max, Min, Q, QuerySet, Sum
from django.db.models.functions import Cast

from catalog.models import Domain, Producer, ProducerStream, Stream
from governance import access, audit
from governance.projection import projection
from governance.types import Permission, ResourceRef
from ingest.log.alive import letters_alive_since
from ingest.log.group import VERSION_MARK
from ingest.models import DeadLetter, LetterCount, LetterGroup, LetterTotal
from ingest.privacy import sealing
from portal.kernel import clock, sql
from portal.kernel.actor import Actor
from portal.kernel.errors import NotFoundError

DAYS: Final = 14
STATES: Final = ("open", "replayed", "discarded")
_NEWEST: Final = sql.load("ingest", "newest_of_groups")

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
    """Dead letters of one cause. Addresses name it by its `id`; `version` is the producer's."""

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
    code: str = ""
    version: str = ""
    growing_since: datetime | None = None
    known_at: datetime | None = None
    note: str = ""
    assignee: str = ""

    @property
    def id(self) -> str:
        """Its key as it stands in addresses; `key_of` reads it."""
        return group_id(self.key)

    @property
    def field(self) -> str:
        """The field at fault, by its own name; empty when the whole event is."""
        pointer, _, _ = self.detail.partition(" ")
        return pointer.rpartition("/")[2] if pointer.startswith("/") else ""

    @property
    def fault(self) -> str:
        """What is wrong in words: of the field, when there is one."""
        if self.field:
            return self.detail.partition(" ")[2] or self.sentence
        return self.sentence

    @property
    def trend(self) -> str:
        """New, growing, fading, steady or stopped: from the last minutes, then the last days."""
        now = clock.now()
        if self.growing_since is not None:
            return "growing"
        if now - self.last_at > timedelta(days=1):
            return "stopped"
        if now - self.first_at < timedelta(days=1):
            return "new"
        late, before = sum(self.per_day[-2:]), sum(self.per_day[-5:-2]) * 2 / 3
        if late > before * 1.5:
            return "growing"
        return "fading" if late < before / 2 else "steady"


def visible_dead_letters(actor: Actor) -> QuerySet[DeadLetter]:
    """Dead letters the actor may see, of the last 30 days, newest first."""
    rows = DeadLetter.objects.filter(received_at__gte=letters_alive_since())
    if actor.is_admin or actor.has_role("on_call"):
        return rows
    owned = access.permitted(actor, Permission.EDIT, Stream.objects.all(), scope="read")
    return rows.filter(stream_id__in=owned.values("pk"))


def visible_totals(actor: Actor) -> QuerySet[LetterTotal]:
    """The same letters, counted by group and state.

    Those of the day that has just ended are taken off by the next sweep, within a quarter of an hour.
    """
    rows = LetterTotal.objects.filter(last_at__gte=letters_alive_since(), letters__gt=0)
    if actor.is_admin or actor.has_role("on_call"):
        return rows
    owned = access.permitted(actor, Permission.EDIT, Stream.objects.all(), scope="read")
    return rows.filter(stream_id__in=owned.values("pk"))


def grouped(actor: Actor, *, state: str = "open") -> QuerySet[Any, Any]:
    """One row for each cause of the dead letters in a state: key, reason, type, stream, count."""
    return (
        visible_totals(actor)
        .filter(state=state)
        .order_by()
        .values("group_key")
        .annotate(
            reason=Max("reason"),
            type=Max("type"),
            stream=Max("stream_id"),
            producer=Max("producer_id"),
            count=Cast(Sum("letters"), BigIntegerField()),
            first=Min("first_at"),
            last=Max("last_at"),
        )
    )


def describe(actor: Actor, rows: Sequence[Mapping[str, Any]], *, state: str) -> list[Group]:
    """The groups of a page of such rows, with 14 days of counts; five queries for all of them."""
    keys = [row["group_key"] for row in rows]
    sees_all = actor.is_admin or actor.has_role("on_call")
    newest = {
        found["group_key"]: json.loads(found["errors"])
        for found in sql.fetch_all(
            _NEWEST,
            {
                "keys": keys, "state": state, "alive_since": letters_alive_since(),
                "streams": [None if sees_all else row["stream"] for row in rows],
            },
        )
    }  # fmt: skip
    producers = Producer.objects.in_bulk([row["producer"] for row in rows])
    streams = Stream.objects.in_bulk([row["stream"] for row in rows if row["stream"]])
    counts = LetterCount.objects.filter(state=state, group_key__in=keys)
    per_day = _per_day(counts if sees_all else counts.filter(stream_id__in=list(streams)))
    said = {
        row.group_key: row
        for row in LetterGroup.objects.select_related("assignee").filter(group_key__in=keys)
    }
    found = []
    for row in rows:
        about = said.get(row["group_key"])
        errors = newest.get(row["group_key"]) or []
        stream, producer = streams.get(row["stream"]), producers.get(row["producer"])
        found.append(
            Group(
                key=row["group_key"],
                reason=row["reason"],
                sentence=SENTENCES.get(row["reason"], row["reason"]),
                type=row["type"],
                stream=stream.name if stream else None,
                producers=(producer.name,) if producer else (),
                count=row["count"],
                first_at=row["first"],
                last_at=row["last"],
                detail=f"{errors[0]['pointer']} {errors[0]['detail']}".strip() if errors else "",
                per_day=per_day.get(row["group_key"], (0,) * DAYS),
                code=errors[0]["code"] if errors else "",
                version=version_of(row["group_key"]),
                growing_since=about.growing_since if about else None,
                known_at=about.known_at if about else None,
                note=about.note if about else "",
                assignee=about.assignee.email if about and about.assignee else "",
            )
        )
    return found


def groups(actor: Actor, *, limit: int = 50, state: str = "open") -> list[Group]:
    """The groups of dead letters in one state, largest first."""
    rows = grouped(actor, state=state).order_by("-count", "group_key")[:limit]
    return describe(actor, list(rows), state=state)


def totals(actor: Actor, *, state: str) -> tuple[int, int]:
    """Dead letters in a state, and the groups they are in."""
    counts = grouped(actor, state=state).aggregate(events=Sum("count"), groups=Count("*"))
    return int(counts["events"] or 0), counts["groups"]


def group_count(actor: Actor) -> int:
    """How many groups are open; at most 100 are counted."""
    rows = visible_totals(actor).filter(state="open").values("group_key").distinct()
    return rows[:100].count()


def group_of(actor: Actor, key: str) -> Group:
    """One group by its key, in the first state it has letters in; NotFoundError without any."""
    for state in STATES:
        rows = list(grouped(actor, state=state).filter(group_key=key))
        if rows:
            return describe(actor, rows, state=state)[0]
    raise NotFoundError


def example_of(actor: Actor, key: str) -> DeadLetter | None:
    """The newest letter of a group that is open, else the newest of it."""
    rows = visible_dead_letters(actor).filter(group_key=key).order_by("-received_at", "id")
    return rows.filter(state="open").first() or rows.first()


def lasting_address(key: str) -> str:
    """Where a group is found by who is told of it: by its newest letter, since the key holds names of
    members and what tells of it outlives the letters. The list where it has no open letter."""
    rows = DeadLetter.objects.filter(
        state="open", group_key=key, received_at__gte=letters_alive_since()
    )
    newest = rows.order_by("-received_at", "id").values_list("id", flat=True).first()
    return f"/letters/{newest}/" if newest is not None else "/dead-letters/"


def get_dead_letter(actor: Actor, letter_id: UUID) -> DeadLetter:
    """One of the `visible_dead_letters`; NotFoundError for missing and forbidden alike."""
    found = visible_dead_letters(actor).filter(id=letter_id).first()
    if found is None:
        raise NotFoundError
    return found


def _per_day(counts: QuerySet[LetterCount]) -> dict[str, tuple[int, ...]]:
    """Letters of each group on each of the last 14 days, today last."""
    today = clock.now().date()
    found: dict[str, list[int]] = {}
    rows = counts.filter(day__gt=today - timedelta(days=DAYS)).order_by()
    for key, day, count in rows.values_list("group_key", "day", "letters"):
        place = DAYS - 1 - (today - day).days
        if 0 <= place < DAYS:  # a clock that was set back leaves letters of tomorrow
            found.setdefault(key, [0] * DAYS)[place] += count
    return {key: tuple(counts) for key, counts in found.items()}


def group_id(key: str) -> str:
    """A group's key as it stands in addresses."""
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def key_of(group: str) -> str:
    """The key inside an address; NotFoundError for what was never one."""
    try:
        key = base64.urlsafe_b64decode(group + "=" * (-len(group) % 4)).decode()
    except (ValueError, binascii.Error):
        raise NotFoundError from None
    if "\0" in key:
        raise NotFoundError
    return key


def version_of(key: str) -> str:
    """The producer's version inside a group's key; empty when its events named none."""
    return key.rpartition(VERSION_MARK)[2] if VERSION_MARK in key else ""


def waiting_letters(types: Sequence[str], *, limit: int = 50) -> list[tuple[str, int]]:
    """Groups of open letters of types that were unknown when they came, with their counts."""
    rows = (
        LetterTotal.objects.filter(
            state="open", reason="unknown_stream", type__in=types,
            last_at__gte=letters_alive_since(), letters__gt=0,
        )
        .order_by()
        .values_list("group_key")
        .annotate(count=Cast(Sum("letters"), BigIntegerField()))
    )  # fmt: skip
    return list(rows.order_by("-count", "group_key")[:limit])


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


def meant_stream(letter: DeadLetter) -> Stream | None:
    """The stream of a dead letter, also where its producer was told that there is none."""
    known = Stream.objects.filter(pk=letter.stream_id or 0).first()
    named = Q(name=letter.type) | Q(aliases__alias=letter.type)
    return known or Stream.objects.filter(named).order_by("pk").first()


def may_reveal(actor: Actor, letter: DeadLetter) -> bool:
    """Whether the actor may have what was treated or sealed of a letter in clear: by grant alone."""
    stream = meant_stream(letter)
    if stream is None:
        return may_read_unknown(actor, letter.type, letter.producer_id)
    return projection(actor, stream).is_whole


def is_logged(letter: DeadLetter) -> bool:
    """Whether reading its bytes leaves an audit row: of a personal stream, or of an unknown type."""
    stream = Stream.objects.filter(pk=letter.stream_id or 0).first()
    return stream is None or stream.is_personal


def needed_permission(letter: DeadLetter) -> Permission:
    """What it takes to read the bytes of a dead letter."""
    stream = meant_stream(letter)
    is_open = stream is not None and not stream.is_personal
    return Permission.READ_PAYLOAD if is_open else Permission.READ_PERSONAL


def may_read_unknown(actor: Actor, kind: str, producer_id: int) -> bool:
    """Whether somebody holds a grant to personal fields where an event of no stream may belong.

    That is the domain in its type's name, where there is one, else any stream that its producer may
    publish to. No role stands in for it.
    """
    domain = Domain.objects.filter(slug=kind.partition(".")[0]).first()
    if domain is not None:
        return access.may(actor, Permission.READ_PERSONAL, domain)
    permitted = access.permitted(actor, Permission.READ_PERSONAL, Stream.objects.order_by())
    mapped = ProducerStream.objects.filter(producer_id=producer_id)
    named = permitted.filter(pk__in=mapped.filter(stream__isnull=False).values("stream"))
    if any(projection(actor, stream).is_whole for stream in named.iterator()):
        return True
    globs = {glob for glob in mapped.values_list("glob", flat=True) if glob}
    streams = permitted.iterator() if globs else ()
    return any(
        projection(actor, stream).is_whole
        for stream in streams
        if any(fnmatchcase(stream.name, glob) for glob in globs)
    )


def readable_body(actor: Actor, letter: DeadLetter) -> str | None:
    """The bytes as text for who may read the payload; None for others.

    What stands in it is not masked field by field, as it breaks its contract or nobody knows one:
    personal streams, and types that nobody registered, need the grant to personal fields, whatever
    role the reader has. Such a read leaves an audit row.
    """
    stream = meant_stream(letter)
    if not may_read_body(actor, letter):
        return None
    if stream is None or stream.is_personal:
        name = stream.name if stream is not None else letter.type
        audit.record(
            actor,
            "dead_letter.personal_read",
            stream.ref if stream is not None else ResourceRef("stream", letter.type),
            summary=f"saw a dead letter of {name or 'an unreadable body'}",
            after={"dead_letter": str(letter.id)},
        )
    return sealing.opened(bytes(letter.body), letter.id).decode("utf-8", "replace")


def may_read_body(actor: Actor, letter: DeadLetter) -> bool:
    """Whether `readable_body` would give the bytes; leaves no trace, for it gives none."""
    stream = meant_stream(letter)
    if stream is None:
        return may_read_unknown(actor, letter.type, letter.producer_id)
    seen = projection(actor, stream)
    if needed_permission(letter) is Permission.READ_PERSONAL:
        return seen.is_whole
    return seen.fields is None


def states_in(actor: Actor, key: str) -> dict[str, int]:
    """How many letters of a group are open, replayed and discarded."""
    rows = visible_totals(actor).filter(group_key=key).order_by()
    counted = dict(
        rows.values_list("state").annotate(count=Cast(Sum("letters"), BigIntegerField()))
    )
    return {state: counted.get(state, 0) for state in STATES}


def parsed(body: str | None) -> object:
    """A body as JSON where it is JSON; None otherwise."""
    if body is None:
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
