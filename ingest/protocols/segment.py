"""The Segment HTTP tracking API: its calls, read into the one canonical envelope.

1. A body is one call (`/v1/track`, …) or a batch of calls, whatever its content type says.
2. Each call becomes a CloudEvent as `interfaces.md` §3 maps it, and that CloudEvent is read like any
   other (`cloudevents.read_mapping`): the same rules, limits and pointers hold, and a dead letter
   of it is repaired and replayed like any other.
3. What has no attribute of its own is kept as an extension: `context` and `integrations` as JSON
   text; `event`, `name`, `category`, `groupid`, `previousid`, `anonymousid` and `channel` as sent;
   `context.app.version` as `producerversion` too, by which dead letters are grouped.
4. `sentAt` is no part of an event, since a retry carries another. It only tells how wrong the
   sender's clock is: beyond a minute the difference is kept (`SKEW`), beside the identity.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final, NamedTuple

import msgspec
import orjson

from catalog.naming import MAX_ALIAS, from_outside
from ingest.protocols import cloudevents
from ingest.times import TimeError, parse_us
from ingest.types import MAX_EVENTS, Envelope, Reason
from portal.kernel import strict_json
from portal.kernel.errors import BadRequestError, FieldError, InvalidError
from portal.kernel.identifiers import uuid7

MAX_CALL_BYTES: Final = 32 * 1024
MAX_BODY_BYTES: Final = 500 * 1024
BATCH: Final = "batch"
CALLS: Final = ("track", "identify", "page", "screen", "group", "alias")
# What the last part of an address means; browsers use the short forms.
WORDS: Final[Mapping[str, str]] = (
    {name: name for name in CALLS}
    | {name[0]: name for name in CALLS}
    | {"batch": BATCH, "b": BATCH, "import": BATCH}
)
# Milliseconds by which the sender's clock was behind ours, when they are more than a minute.
SKEW: Final = "segmentskewms"
# The application's version: dead letters of one release are one group.
VERSION: Final = "producerversion"
MAX_VERSION: Final = 100
_SKEW_US: Final = 60_000_000
_IN_TRAITS: Final = frozenset({"identify", "group"})
_KEPT: Final = {
    "name": "name",
    "category": "category",
    "groupId": "groupid",
    "previousId": "previousid",
    "channel": "channel",
}
# Where a fault of a call stands in the event that is made of it.
_PLACES: Final = {
    "properties": "/data",
    "traits": "/data",
    "context": "/context",
    "integrations": "/integrations",
    "messageId": "/id",
    "timestamp": "/time",
    "originalTimestamp": "/time",
    "userId": "/subject",
    "anonymousId": "/subject",
    "groupId": "/groupid",
    "previousId": "/previousid",
}
_SECRET: Final = re.compile(rb"(ep_(?:user|prod|cons|flag)_[a-z0-9]{8}_)[A-Za-z0-9_-]{43}")
_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Sender(NamedTuple):
    """Who calls: the source of its events, their domain, and when we got the call."""

    source: str
    domain: str
    received_us: int


@dataclass(slots=True)
class Call:
    """One call as an envelope. `original` is the name it gave its stream, empty when it has none;
    the envelope's type is what the house makes of that name. Where that is nothing, only an alias
    can help, and `nameless` is the call as it came."""

    envelope: Envelope
    kind: str = ""
    original: str = ""
    is_oversize: bool = False
    nameless: bytes = b""


_NO_NAME: Final = FieldError("/event", "name", "makes no name that a stream could have")


@dataclass(slots=True)
class _Shared:
    """What a batch says once for all of its calls."""

    sent_at: Any = None
    objects: Mapping[str, Any] | None = None
    findings: tuple[FieldError, ...] = ()


def too_large(what: str) -> BadRequestError:
    """The error for what is too large: a 400, which SDKs of Segment do not send again."""
    return BadRequestError(what, code="too_large")


def without_keys(body: bytes) -> bytes:
    """The bytes with the secret of every key in them masked: calls carry the one they came under."""
    return _SECRET.sub(rb"\1***", body)


def key_of(body: bytes) -> str | None:
    """The `writeKey` of a body; raises when the body is not an object in JSON."""
    members = _split(body)
    if "writeKey" not in members:
        return None
    key = _read(members["writeKey"]).value
    return key if isinstance(key, str) else None


def read_call(body: bytes, kind: str, sender: Sender) -> Call:
    """The one call of a body; raises when the body is not an object in JSON."""
    raw = body.strip(b" \t\r\n")
    examined = _read(raw)
    if not isinstance(examined.value, dict):
        raise strict_json.refuse("shape")
    return _call(raw, examined, kind, _Shared(), sender)


def read_batch(body: bytes, sender: Sender) -> Iterator[Call]:
    """The calls of a batch, one at a time so that a caller can pause in between."""
    members = _split(body)
    if "batch" not in members:
        raise strict_json.refuse("shape")
    parts = strict_json.split_array(members["batch"])
    if len(parts) > MAX_EVENTS:
        raise too_large("A batch may have at most 5,000 calls.")
    shared = _shared(members)
    for part in parts:
        raw = bytes(part)
        yield _call(raw, _read(raw, base_depth=2), "", shared, sender)


def _read(raw: bytes, base_depth: int = 0) -> strict_json.Examined:
    """One JSON text; beyond the size of an event only so far as its refusal needs."""
    if len(raw) > strict_json.MAX_EVENT_BYTES:
        return strict_json.Examined(strict_json.read_oversize(raw, base_depth))
    return strict_json.read(raw, suspicious=strict_json.is_suspicious(raw), base_depth=base_depth)


def _split(body: bytes) -> dict[str, bytes]:
    """The members of the outer object as the bytes they came in; raises when it can't be read."""
    if not isinstance(strict_json.read_oversize(body), dict):
        raise strict_json.refuse("shape")
    try:
        return {name: bytes(part) for name, part in _members.decode(body).items()}
    except (msgspec.DecodeError, RecursionError):
        # Lone surrogates, which msgspec does not skip. Masked they have the same length.
        masked = strict_json.mask_surrogates(body)
    try:
        found = {name: bytes(part) for name, part in _members.decode(masked).items()}
    except (msgspec.DecodeError, RecursionError) as error:
        raise strict_json.refuse("malformed_json") from error
    places = {name: masked.index(part) for name, part in found.items()}
    return {name: body[at : at + len(found[name])] for name, at in places.items()}


def _shared(members: Mapping[str, bytes]) -> _Shared:
    objects: dict[str, Any] = {}
    findings: list[FieldError] = []
    for name in ("context", "integrations"):
        if name not in members:
            continue
        if len(members[name]) > strict_json.MAX_EVENT_BYTES:
            raise too_large(f"The batch's {name} is larger than an event may be.")
        examined = _read(members[name], base_depth=1)
        objects[name] = examined.value
        findings += (
            FieldError(f"/{name}{found.pointer}", found.code, found.detail)
            for found in examined.findings
        )
    sent_at = _read(members["sentAt"]).value if "sentAt" in members else None
    return _Shared(sent_at, objects, tuple(findings))


def _call(
    raw: bytes, examined: strict_json.Examined, kind: str, shared: _Shared, sender: Sender
) -> Call:
    item = examined.value
    is_oversize = len(raw) > MAX_CALL_BYTES
    if not isinstance(item, dict):
        return _unreadable(raw, FieldError("", "shape", "must be a JSON object"))
    kind = kind or str(item.get("type") or "")
    if kind not in CALLS:
        names = f"{', '.join(CALLS[:-1])} or {CALLS[-1]}"
        return _unreadable(raw, FieldError("/type", "enum", f"must be {names}"), item)
    original = item.get("event") if kind == "track" else kind
    if not isinstance(original, str) or not original:
        return _unreadable(raw, FieldError("/event", "required", "is required"), item)
    name = stream_name(original, sender.domain)
    if not name:
        return _nameless(raw, examined, kind, original, shared, sender)
    if len(raw) > strict_json.MAX_EVENT_BYTES:  # read roughly: nothing can be made of it
        envelope = Envelope(without_keys(raw), "application/json", type=name)
        fault = FieldError("", "too_large", "An item may have at most 32 KB.")
        return Call(envelope.refuse(Reason.LIMIT_EXCEEDED, fault), kind, original, True)
    envelope = cloudevents.read_mapping(_event(item, kind, name, shared, sender))
    findings = (*(_placed(found) for found in examined.findings), *shared.findings)
    if findings and envelope.reason in (None, Reason.LIMIT_EXCEEDED):
        envelope.refuse(Reason.LIMIT_EXCEEDED, *findings[: strict_json.MAX_FINDINGS])
    return Call(envelope, kind, original, is_oversize)


def _nameless(
    raw: bytes,
    examined: strict_json.Examined,
    kind: str,
    original: str,
    shared: _Shared,
    sender: Sender,
) -> Call:
    """A call whose name makes none that a stream could have, but may be a stream's alias."""
    is_clean = len(raw) <= MAX_CALL_BYTES and not examined.findings and not shared.findings
    if is_clean and len(original) <= MAX_ALIAS:
        event = _event(examined.value, kind, original, shared, sender)
        envelope = cloudevents.read_mapping(event)
        if envelope.reason is None:
            return Call(envelope, kind, original, nameless=raw)
    return _unreadable(raw, _NO_NAME, examined.value)


def refuse_nameless(call: Call) -> None:
    """It is no stream's alias either: what is kept is the call."""
    envelope = call.envelope
    envelope.raw, envelope.content_type = without_keys(call.nameless), "application/json"
    envelope.type, envelope.head = "", None
    envelope.refuse(Reason.ENVELOPE_INVALID, _NO_NAME)


def _unreadable(raw: bytes, fault: FieldError, item: Mapping[str, Any] | None = None) -> Call:
    """A call of which no event can be made: its own bytes are kept."""
    envelope = Envelope(without_keys(raw), "application/json")
    if item is not None and item.get("messageId"):
        envelope.id = _identifier(item)
    return Call(
        envelope.refuse(Reason.ENVELOPE_INVALID, fault), is_oversize=len(raw) > MAX_CALL_BYTES
    )


@lru_cache(maxsize=10_000)
def stream_name(original: str, domain: str) -> str:
    """What the house calls the stream of an event of that name; empty when nothing is left."""
    try:
        return from_outside(original, domain=domain)
    except InvalidError:
        return ""


def _event(
    item: Mapping[str, Any], kind: str, name: str, shared: _Shared, sender: Sender
) -> dict[str, Any]:
    """The CloudEvent that a call means."""
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": _identifier(item),
        "source": sender.source,
        "type": name,
    }
    time = item.get("timestamp")
    if time is None:
        time = item.get("originalTimestamp")
    if time is not None:
        event["time"] = time
    user, anonymous = _text(item.get("userId")), _text(item.get("anonymousId"))
    if user or anonymous:
        event["subject"] = user or anonymous
    if user and anonymous:
        event["anonymousid"] = anonymous
    if kind == "track":
        event["event"] = item["event"]
    for theirs, ours in _KEPT.items():
        if item.get(theirs) is not None:
            event[ours] = _scalar(item[theirs])
    context = _joined(item, "context", shared)
    event["data"], context = _data(item, kind, context)
    for ours, value in (
        ("context", context),
        ("integrations", _joined(item, "integrations", shared)),
    ):
        if value:
            event[ours] = _scalar(value)
    if version := _version(context):
        event[VERSION] = version
    skew_us = _skew_us(item, shared, sender.received_us)
    if abs(skew_us) > _SKEW_US:
        event[SKEW] = skew_us // 1000
    return event


def _identifier(item: Mapping[str, Any]) -> str:
    """The `messageId`; its SHA-256 when it can't be an id, one of our own when there is none."""
    given = item.get("messageId")
    if given is None or given == "":
        return str(uuid7())
    text = given if isinstance(given, str) else orjson.dumps(given).decode()
    if len(text) <= cloudevents.MAX_ID and text.isprintable():
        return text
    return sha256(text.encode("utf-8")).hexdigest()


def _text(value: Any) -> str:
    """A user's id as text; some clients send numbers."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def _scalar(value: Any) -> str | int | bool:
    """A value as an extension can hold it: what is not a scalar as JSON text."""
    if isinstance(value, str | int):  # a bool is an int
        return value
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _version(context: Any) -> str:
    """What the application calls its release (`context.app.version`); empty when it says nothing that
    could be one."""
    app = context.get("app") if isinstance(context, dict) else None
    version = app.get("version") if isinstance(app, dict) else None
    if isinstance(version, int | float) and not isinstance(version, bool):
        version = str(version)
    if not isinstance(version, str) or not version.isprintable() or len(version) > MAX_VERSION:
        return ""
    return version.strip()


def _joined(item: Mapping[str, Any], name: str, shared: _Shared) -> Any:
    """An object of a call over the batch's; a value that is no object stands for itself."""
    own = item.get(name)
    common = (shared.objects or {}).get(name)
    if isinstance(own, dict) and isinstance(common, dict):
        return {**common, **own}
    return common if own is None else own


def _data(item: Mapping[str, Any], kind: str, context: Any) -> tuple[Any, Any]:
    """What becomes `data`, and the context without what has become data.

    RudderStack sends the traits of `identify` inside of the context. There the contract's rules for
    personal fields would not reach them, so they don't stay.
    """
    own, other = ("traits", "properties") if kind in _IN_TRAITS else ("properties", "traits")
    data = item.get(own)
    if data is None:
        data = item.get(other)
    if kind == "identify" and isinstance(context, dict) and "traits" in context:
        inner = context["traits"]
        if data is None or data == inner:
            data = inner
            context = {key: value for key, value in context.items() if key != "traits"}
    return ({} if data is None else data), context


def _skew_us(item: Mapping[str, Any], shared: _Shared, received_us: int) -> int:
    """How far the sender's clock was behind ours, going by when it says it sent the call."""
    sent_at = item.get("sentAt") if shared.sent_at is None else shared.sent_at
    if not isinstance(sent_at, str):
        return 0
    try:
        return received_us - parse_us(sent_at)
    except TimeError:
        return 0


def _placed(found: FieldError) -> FieldError:
    """A finding where it stands in the event that was made of the call."""
    first, slash, rest = found.pointer.lstrip("/").partition("/")
    place = _PLACES.get(first, f"/{first.lower()}" if first else "")
    inside = f"{slash}{rest}" if place == "/data" else ""
    return FieldError(f"{place}{inside}", found.code, found.detail)
