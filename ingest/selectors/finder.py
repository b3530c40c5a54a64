"""Any id → where it is: an event of a stream the actor may read, a dead letter they may see.

Only bounded, indexed look-ups: a dead letter by its id; an event by its time where that is known or
stands in the id (UUIDv7), else among those of a day around now; events without a time of their own by
the ledger of a week. What would take longer than two seconds is given up, and the answer says so.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import OperationalError, connection, transaction
from psycopg.errors import QueryCanceled

from catalog.models import Stream
from governance import access
from governance.types import Permission
from ingest.log.alive import alive_since
from ingest.models import DeadLetter
from ingest.selectors.dead_letters import visible_dead_letters
from ingest.times import moment_of, us_of_uuid7
from portal.kernel import clock, sql
from portal.kernel.actor import Actor

MOST: Final = 20
AROUND_NOW: Final = timedelta(days=1)
AROUND_ID: Final = timedelta(minutes=10)
_TIMEOUT_MS: Final = 2000
_EVENTS: Final = sql.load("ingest", "find_events")
_LEDGER: Final = sql.load("ingest", "find_in_ledger")


@dataclass(frozen=True, slots=True)
class Hit:
    """A place of an id. `at` is the event's time, or of a dead letter without one its receipt."""

    kind: str  # event, dead_letter
    stream: str
    id: str
    at: datetime
    letter: UUID | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """What was found, at most `MOST`; and where events were looked for.

    `is_complete` is false when a look-up was given up: then a stream or a time helps.
    """

    hits: tuple[Hit, ...]
    since: datetime
    until: datetime
    is_complete: bool
    made_at: datetime | None = None  # the moment in the id itself


def find(
    actor: Actor, wanted: str, *, stream: Stream | None = None, at: datetime | None = None
) -> Found:
    """Where an id is; an event's, a dead letter's, with the stream or the event's time as a help."""
    now = clock.now()
    in_id = us_of_uuid7(wanted)
    made_at = None if in_id is None else moment_of(in_id)
    if at is not None:
        since, until = at, at + timedelta(microseconds=1)
    elif made_at is not None:
        since, until = made_at - AROUND_ID, made_at + AROUND_ID
    else:
        hour = now.replace(minute=0, second=0, microsecond=0)
        since, until = hour - AROUND_NOW, hour + AROUND_NOW
    streams = Stream.objects.filter(pk=stream.pk) if stream is not None else Stream.objects.all()
    permitted = access.permitted(actor, Permission.READ_PAYLOAD, streams)
    if not wanted:
        return Found((), since, until, is_complete=True)
    readable = list(permitted.order_by().values_list("pk", flat=True))
    hits: list[Hit] = []
    is_complete = True
    looks: tuple[Callable[[], Iterable[Hit]], ...] = (
        lambda: _letters(actor, wanted, made_at),
        lambda: _events(readable, wanted, since, until),
        lambda: _in_ledger(readable, wanted),
    )
    for look in looks:
        got = _within_time(look)
        is_complete = is_complete and got is not None
        hits += got or []
    unique = {(hit.kind, hit.stream, hit.id, hit.at, hit.letter): hit for hit in hits}
    return Found(tuple(unique.values())[:MOST], since, until, is_complete, made_at)


def _within_time(look: Callable[[], Iterable[Hit]]) -> list[Hit] | None:
    """What a look-up gives; None when it would take too long."""
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL statement_timeout = {_TIMEOUT_MS}")
            return list(look())
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            return None
        raise


def _letters(actor: Actor, wanted: str, made_at: datetime | None) -> Iterable[Hit]:
    """By the letter's own id, or by the id of an event that was refused when its id was made."""
    rows = visible_dead_letters(actor).defer("body").order_by()
    found: list[DeadLetter] = []
    with suppress(ValueError):
        found += rows.filter(id=UUID(wanted))[:1]
    if made_at is not None:
        around = rows.filter(
            received_at__gte=made_at - AROUND_ID, received_at__lt=made_at + AROUND_ID
        )
        found += around.filter(event_id=wanted)[:MOST]
    for letter in found:
        yield Hit(
            "dead_letter", letter.type, letter.event_id or wanted,
            letter.occurred_at or letter.received_at, letter.id, letter.reason,
        )  # fmt: skip


def _events(readable: list[int], wanted: str, since: datetime, until: datetime) -> Iterable[Hit]:
    params = {
        "streams": readable, "id": wanted, "since": since, "until": until, "most": MOST,
    }  # fmt: skip
    return _hits(sql.fetch_all(_EVENTS, params), wanted)


def _in_ledger(readable: list[int], wanted: str) -> Iterable[Hit]:
    params: dict[str, Any] = {"streams": readable, "id": wanted, "most": MOST}
    return _hits(sql.fetch_all(_LEDGER, params), wanted)


def _hits(rows: Sequence[Mapping[str, Any]], wanted: str) -> Iterable[Hit]:
    """The events among them that have not lived their time."""
    streams = Stream.objects.in_bulk({row["stream_id"] for row in rows})
    for row in rows:
        stream, at = streams[row["stream_id"]], row["occurred_at"]
        if at >= alive_since(stream):
            yield Hit("event", stream.name, wanted, at)
