"""The JSON shapes of stored events and dead letters, and the functions that make them."""

from typing import Any, NotRequired, TypedDict
from uuid import UUID

from ingest.models import DeadLetter
from ingest.selectors import dead_letters
from ingest.selectors.event_life import Stage
from portal.http.operations import Time
from portal.kernel.errors import FieldErrorDict


class PortalPartBody(TypedDict):
    """`corrected_time` is by our clock, where the sender's was wrong by more than a minute."""

    version: int | None
    received_at: Time
    corrected_time: Time | None
    producer: str
    extra: Any
    masked: list[str]
    replayed: bool


class EventBody(TypedDict):
    """A CloudEvent in the structured form, its extensions beside; `portal` is what we know of it."""

    specversion: str
    id: str
    source: str
    type: str
    time: Time
    subject: str | None
    data: NotRequired[Any]
    data_base64: NotRequired[str]
    portal: PortalPartBody


class StageBody(TypedDict):
    """A stage of an event's life: `seconds` since the one before, and what they may be; null where
    nobody measures it, which `says` says. `typical_seconds`: half of that hour's took less."""

    step: str
    at: Time | None
    seconds: float | None
    budget_seconds: float | None
    typical_seconds: float | None
    says: str


class PortalLifeBody(PortalPartBody):
    """`readable`: every earlier position of the log is visible too."""

    readable: bool
    life: list[StageBody]


class EventLifeBody(EventBody):
    """One event with its life."""

    portal: PortalLifeBody  # type: ignore[misc]  # narrower than that of an event in a list


def stage(found: Stage) -> StageBody:
    """One step of an event's life as the API says it; null is what nobody measured."""
    return {
        "step": found.step.value,
        "at": found.at,
        "seconds": found.seconds,
        "budget_seconds": found.budget_seconds,
        "typical_seconds": found.typical_seconds,
        "says": found.says,
    }


class RevealedBody(TypedDict):
    """An event with what could be reversed in clear; `revealed` are the pointers where it was."""

    event: EventBody
    revealed: list[str]


class RevealedLetterBody(TypedDict):
    """What a dead letter keeps, in clear: an object, or text where it is no JSON. A pointer that is
    empty stands for the whole letter, which was sealed."""

    event: Any
    revealed: list[str]


class DeadLetterBody(TypedDict):
    """`time` is the event's own, null where none could be read. `decision` is the reason of a
    discard, `tried` what the last replay met; null before."""

    id: UUID
    received_at: Time
    reason: str
    type: str
    event_id: str
    time: Time | None
    source: str
    errors: list[FieldErrorDict]
    state: str
    group: str
    content_type: str
    body_sha256: str
    decided_at: Time | None
    decided_by: str | None
    decision: str | None
    repair: UUID | None
    tried: Any


class DeadLetterDetailBody(DeadLetterBody):
    """`body` is null for who may not read it; then `permission` and `request_at` are not."""

    body: str | None
    body_shown: bool
    permission: str | None
    request_at: str | None
    life: list[StageBody]


def letter(row: DeadLetter) -> DeadLetterBody:
    """A dead letter without its bytes, as lists have it."""
    return {
        "id": row.id,
        "received_at": row.received_at,
        "reason": row.reason,
        "type": row.type,
        "event_id": row.event_id,
        "time": row.occurred_at,
        "source": row.source,
        "errors": row.errors,
        "state": row.state,
        "group": dead_letters.group_id(row.group_key),
        "content_type": row.content_type,
        "body_sha256": bytes(row.body_sha256).hex(),
        "decided_at": row.decided_at,
        "decided_by": row.decided_by,
        "decision": row.decision,
        "repair": row.repair_id,
        "tried": row.tried,
    }


class GroupBody(TypedDict):
    """`version` is the producer's, empty without one; `known_at` and `note` are people's."""

    group: str
    reason: str
    type: str
    stream: str | None
    producers: list[str]
    count: int
    first_at: Time
    last_at: Time
    detail: str
    version: str
    trend: str
    per_day: list[int]
    growing_since: Time | None
    known_at: Time | None
    note: str
    assignee: str | None


def group(row: dead_letters.Group) -> GroupBody:
    """Dead letters of one cause; `per_day` is oldest first."""
    return {
        "group": row.id,
        "reason": row.reason,
        "type": row.type,
        "stream": row.stream,
        "producers": list(row.producers),
        "count": row.count,
        "first_at": row.first_at,
        "last_at": row.last_at,
        "detail": row.detail,
        "version": row.version,
        "trend": row.trend,
        "per_day": list(row.per_day),
        "growing_since": row.growing_since,
        "known_at": row.known_at,
        "note": row.note,
        "assignee": row.assignee or None,
    }
