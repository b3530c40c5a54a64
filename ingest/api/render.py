"""The JSON shapes of stored events and dead letters, and the functions that make them."""

from typing import Any, NotRequired, TypedDict
from uuid import UUID

from ingest.models import DeadLetter
from ingest.selectors import dead_letters
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


class DeadLetterBody(TypedDict):
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


class DeadLetterDetailBody(DeadLetterBody):
    """`body` is null for who may not read it; then `permission` and `request_at` are not."""

    body: str | None
    body_shown: bool
    permission: str | None
    request_at: str | None


def letter(row: DeadLetter) -> DeadLetterBody:
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
    }


class GroupBody(TypedDict):
    group: str
    reason: str
    type: str
    stream: str | None
    producers: list[str]
    count: int
    first_at: Time
    last_at: Time
    detail: str


def group(row: dead_letters.Group) -> GroupBody:
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
    }
