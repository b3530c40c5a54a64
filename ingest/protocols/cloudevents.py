"""CloudEvents 1.0 over HTTP: structured, batch, newline-delimited and binary mode.

The mode follows from the media type alone, in the order of `interfaces.md` §2; parameters after it
never matter for the choice. A fault of the body raises; a fault of one event is that event's.

A body is read in *runs*: so many events as may be handled in one go, and as many as there is room
for where none of their texts needs a closer look. Such a run is `Calm`; its events may be found by
what they share with others (`ingest.protocols.heads`). Any other run holds envelopes.
"""

import base64
import binascii
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from enum import StrEnum
from typing import Any, Final, TypeAlias
from urllib.parse import unquote_to_bytes

import msgspec
import orjson

from ingest.protocols import heads
from ingest.times import TimeError, parse_us
from ingest.types import MAX_EVENTS, Envelope, Reason
from portal.kernel import bulk_json, strict_json
from portal.kernel.errors import (
    BadRequestError,
    FieldError,
    TooLargeError,
    UnsupportedMediaError,
)

STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
NDJSON: Final = "application/x-ndjson"
MAX_ID: Final = 128
MAX_SUBJECT: Final = 256
MAX_TYPE: Final = 255
MAX_SOURCE: Final = 500
MAX_DATASCHEMA: Final = 500

_REQUIRED_HEADERS: Final = ("ce-id", "ce-source", "ce-type", "ce-specversion")
_CORE: Final = frozenset(
    {
        "specversion",
        "id",
        "source",
        "type",
        "time",
        "subject",
        "dataschema",
        "datacontenttype",
        "data",
        "data_base64",
    }
)
_EXTENSION_NAME: Final = re.compile(r"[a-z0-9]{1,64}")
# RFC 3986: the characters of a URI reference, percent escapes whole, no first segment with a colon
# unless it is a scheme.
_URI_REFERENCE: Final = re.compile(
    r"(?:[A-Za-z][A-Za-z0-9+.\-]*:|(?![^/?#]*:))"
    r"(?:[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*"
    r"(?:#(?:[A-Za-z0-9\-._~:/?@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*)?"
)
_JSON_MEDIA: Final = re.compile(r"[^/]+/(?:json|[^/]+\+json)", re.IGNORECASE)
_MEDIA_TYPE: Final = re.compile(r"[A-Za-z0-9!#$&^_.+\-]+/[A-Za-z0-9!#$&^_.+\-]+")
# What an event weighs beyond its bytes in the room of a run.
EVENT_BYTES: Final = 1024


class Calm(msgspec.Struct, frozen=True):
    """Events that are JSON objects free of any fault of the text or limit, and their texts.

    `may_vary`: some of them may hold a number of which there is more than one canonical spelling.
    """

    events: list[dict[str, Any]]
    texts: list[bytes]
    may_vary: bool


Run: TypeAlias = Calm | Sequence[Envelope]
# Bytes that the next run may weigh: those of its events and `EVENT_BYTES` for each.
Room: TypeAlias = Callable[[], int]


class Mode(StrEnum):
    """How a request carries events: the modes of CloudEvents over HTTP, and an event a line."""

    BATCH = "batch"
    STRUCTURED = "structured"
    NDJSON = "ndjson"
    BINARY = "binary"


def media_type(content_type: str) -> str:
    """The media type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def is_json_type(content_type: str | None) -> bool:
    """Whether data of this content type is JSON; none named means JSON."""
    return content_type is None or _JSON_MEDIA.fullmatch(media_type(content_type)) is not None


def choose_mode(content_type: str, headers: Mapping[str, str]) -> Mode:
    """The mode of a request by its content type and lower-case headers, or a 415."""
    media = media_type(content_type)
    charset = _charset(content_type)
    if charset not in {"", "utf-8", "utf8"}:
        raise UnsupportedMediaError("Only the charset UTF-8 is understood.")
    if media == BATCH:
        return Mode.BATCH
    if media == STRUCTURED:
        return Mode.STRUCTURED
    if media == NDJSON:
        return Mode.NDJSON
    if not media.startswith("application/cloudevents") and all(
        name in headers for name in _REQUIRED_HEADERS
    ):
        if media and not _MEDIA_TYPE.fullmatch(media):
            raise UnsupportedMediaError("The Content-Type is not a media type.")
        return Mode.BINARY
    raise UnsupportedMediaError(
        f"Send {STRUCTURED}, {BATCH}, {NDJSON}, or any other type with the headers "
        "ce-id, ce-source, ce-type and ce-specversion.",
        headers={"Accept-Post": f"{STRUCTURED}, {BATCH}, {NDJSON}"},
    )


def _charset(content_type: str) -> str:
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip('"').lower()
    return ""


def unbounded() -> int:
    """The room for all of a body in one run."""
    return sys.maxsize


def weight_of(run: Run) -> int:
    """What of its room a run takes, in bytes."""
    texts = run.texts if isinstance(run, Calm) else [envelope.raw for envelope in run]
    return sum(map(len, texts)) + EVENT_BYTES * len(texts)


def envelopes_of(run: Run) -> Sequence[Envelope]:
    """The envelopes of a run."""
    if isinstance(run, Calm):
        return [read_calm(event, raw) for event, raw in zip(run.events, run.texts, strict=True)]
    return run


def read_calm(event: dict[str, Any], raw: bytes) -> Envelope:
    """The envelope of an event of a calm run: not read in full if its head is known, and teaching
    its head if not."""
    known = heads.find(event)
    if known is not None:
        return heads.envelope_of(known, event, raw, STRUCTURED)
    envelope = _envelope(strict_json.Examined(event), raw)
    if envelope.reason is None:
        heads.learn(event, envelope)
    return envelope


def read_structured(body: bytes) -> Envelope:
    """One event in JSON; raises when the body is not JSON or not an object."""
    return envelopes_of(run_of_structured(body))[0]


def read_batch(body: bytes) -> Iterator[Envelope]:
    """The events of an array, one at a time.

    Any element that is not JSON raises, and then the whole body counts as unparsable.
    """
    for run in runs_of_batch(body, unbounded):
        yield from envelopes_of(run)


def read_lines(body: bytes) -> Iterator[Envelope]:
    """One event a line; blank lines are skipped, a line that is not JSON is unparsable alone."""
    for run in runs_of_lines(body, unbounded):
        yield from envelopes_of(run)


def run_of_structured(body: bytes) -> Run:
    """As `read_structured`, as a run of one event."""
    raw = body.strip(b" \t\r\n")
    calm = _calm([raw])
    if calm is not None:
        return calm
    examined = _read(raw)
    if not isinstance(examined.value, dict):
        raise strict_json.refuse("shape")
    return [_envelope(examined, raw)]


def run_of_several(bodies: Sequence[bytes]) -> Calm | None:
    """Bodies of one event each as one run, if none of them needs a closer look."""
    return _calm([body.strip(b" \t\r\n") for body in bodies])


def _read(raw: bytes) -> strict_json.Examined:
    """One JSON text; beyond the size of an event only so far as its refusal needs."""
    if len(raw) > strict_json.MAX_EVENT_BYTES:
        return strict_json.Examined(strict_json.read_oversize(raw))
    return strict_json.read(raw, suspicious=strict_json.is_suspicious(raw))


def runs_of_batch(body: bytes, room: Room) -> Iterator[Run]:
    """As `read_batch`, in runs, so that a caller can pause in between; asks for the room of each."""
    parts = strict_json.split_array(body)
    if len(parts) > MAX_EVENTS:
        raise TooLargeError("A batch may have at most 5,000 events.")
    suspicious: bool | None = None
    for texts in _in_runs([bytes(part) for part in parts], room):
        calm = _calm(texts)
        if calm is not None:
            yield calm
            continue
        if suspicious is None:
            suspicious = strict_json.is_suspicious(body)
        for raw in texts:
            yield [_read_element(raw, suspicious=suspicious)]


def _read_element(raw: bytes, *, suspicious: bool) -> Envelope:
    if len(raw) > strict_json.MAX_EVENT_BYTES:
        return _envelope(_read(raw), raw)
    return _envelope(strict_json.read(raw, suspicious=suspicious, base_depth=1), raw)


def _in_runs(texts: list[bytes], room: Room) -> Iterator[list[bytes]]:
    """Texts in runs that fill the room there is for each, or go a little beyond."""
    weight = start = 0
    most = room()
    for number, text in enumerate(texts):
        weight += len(text) + EVENT_BYTES
        if weight >= most:
            yield texts[start : number + 1]
            weight, start, most = 0, number + 1, room()
    if start < len(texts):
        yield texts[start:]


def _calm(texts: list[bytes]) -> Calm | None:
    """Several texts as a calm run, if they are one."""
    found = bulk_json.read_many(texts)
    if found is None or not all(type(event) is dict for event in found.values):
        return None
    return Calm(found.values, texts, found.may_vary)


def runs_of_lines(body: bytes, room: Room) -> Iterator[Run]:
    """As `read_lines`, in runs; see `runs_of_batch`."""
    lines = [line for line in (raw.strip(b" \t\r") for raw in body.split(b"\n")) if line]
    if not lines:
        raise strict_json.refuse("malformed_json")
    if len(lines) > MAX_EVENTS:
        raise TooLargeError("A batch may have at most 5,000 events.")
    for texts in _in_runs(lines, room):
        calm = _calm(texts)
        if calm is not None:
            yield calm
        else:
            for raw in texts:
                yield [_read_line(raw)]


def _read_line(raw: bytes) -> Envelope:
    try:
        return _envelope(_read(raw), raw)
    except BadRequestError as error:
        return Envelope(raw, NDJSON).refuse(
            Reason.UNPARSABLE, FieldError("", error.code, error.detail)
        )


def read_binary(headers: Iterable[tuple[str, str]], content_type: str, body: bytes) -> Envelope:
    """One event whose attributes are headers (lower-case names); the body is its data."""
    attributes, faults = _read_headers(headers)
    if content_type:
        attributes["datacontenttype"] = content_type
    findings: tuple[FieldError, ...] = ()
    beyond = b""  # JSON that is more than an event may carry
    if body and is_json_type(content_type or None):
        content = body.strip(b" \t\r\n")
        examined = _read(content)
        if len(content) > strict_json.MAX_EVENT_BYTES:
            beyond = content
        else:
            attributes["data"] = examined.value
            findings = _inside_data(examined.findings)
    elif body and media_type(content_type).startswith("text/"):
        try:
            attributes["data"] = body.decode("utf-8")
        except UnicodeDecodeError as error:
            raise BadRequestError(
                "The body is not text in UTF-8.", code="malformed_text"
            ) from error
    elif body:
        attributes["data_base64"] = base64.b64encode(body).decode("ascii")
    attributes, unclean = _cleaned(attributes)
    raw = orjson.dumps(attributes)
    if beyond:
        raw = b'%b,"data":%b}' % (raw[:-1], beyond)
    envelope = _envelope(strict_json.Examined(attributes, findings + unclean), raw)
    if faults:
        found = (*faults, *envelope.errors)[: strict_json.MAX_FINDINGS]
        envelope.refuse(Reason.ENVELOPE_INVALID, *found)
    return envelope


def _read_headers(headers: Iterable[tuple[str, str]]) -> tuple[dict[str, Any], list[FieldError]]:
    """The attributes that headers carry, and what is wrong with them."""
    attributes: dict[str, Any] = {}
    faults: list[FieldError] = []
    for name, value in headers:
        if not name.startswith("ce-"):
            continue
        attribute = name[3:]
        if attribute in attributes:
            faults.append(_fault(attribute, "repeated", "must be sent once"))
        elif attribute not in {"data", "data_base64", "datacontenttype"}:
            try:
                attributes[attribute] = _decoded(value)
            except UnicodeDecodeError:
                faults.append(_fault(attribute, "encoding", "must be percent-encoded UTF-8"))
    return attributes, faults


def _decoded(value: str) -> str:
    """A header's text, percent-decoded once. Some clients send UTF-8 as it is, others Latin-1."""
    if not value.isascii():
        with suppress(UnicodeDecodeError):
            value = value.encode("latin-1").decode("utf-8")
    return unquote_to_bytes(value).decode("utf-8")


def _inside_data(findings: tuple[FieldError, ...]) -> tuple[FieldError, ...]:
    return tuple(
        FieldError(f"/data{found.pointer}", found.code, found.detail) for found in findings
    )


def _cleaned(attributes: dict[str, Any]) -> tuple[dict[str, Any], tuple[FieldError, ...]]:
    """Attributes from headers and text bodies without what can't be stored, and the findings."""
    clean: dict[str, Any] = {}
    findings: list[FieldError] = []
    for name, value in attributes.items():
        clean[name] = strict_json.storable_text(value) if isinstance(value, str) else value
        if clean[name] is not value and clean[name] != value:
            findings.append(_fault(name, "unstorable", "must not hold NUL characters"))
    return clean, tuple(findings)


def read_mapping(event: Mapping[str, Any]) -> Envelope:
    """One event of the portal's own (demo, import, exposures), checked like any other."""
    return read_structured(orjson.dumps(event))


def _fault(attribute: str, code: str, detail: str) -> FieldError:
    return FieldError(f"/{strict_json.pointer_part(attribute)}", code, detail)


def _envelope(examined: strict_json.Examined, raw: bytes) -> Envelope:
    """Check the attributes; faults of the envelope come before those of limits."""
    event = examined.value
    envelope = Envelope(raw, STRUCTURED)
    if not isinstance(event, dict):
        return envelope.refuse(
            Reason.ENVELOPE_INVALID, FieldError("", "shape", "must be a JSON object")
        )
    if len(raw) > strict_json.MAX_EVENT_BYTES:  # read roughly; its texts still have to be stored
        event = {
            name: strict_json.storable_text(value) if isinstance(value, str) else value
            for name, value in event.items()
        }
    faults: list[FieldError] = []
    _read_required(event, envelope, faults)
    _read_optional(event, envelope, faults)
    unpacked = _read_data(event, envelope, faults)
    if len(event) > len(_CORE) or not event.keys() <= _CORE:
        _read_extensions(event, envelope, faults)
    if faults:
        return envelope.refuse(Reason.ENVELOPE_INVALID, *faults[: strict_json.MAX_FINDINGS])
    breaks = examined.findings or strict_json.find_limit_breaks(event, raw) or unpacked
    if breaks:
        return envelope.refuse(Reason.LIMIT_EXCEEDED, *breaks)
    return envelope


def _required_text(event: dict[str, Any], name: str, faults: list[FieldError]) -> str:
    value = event.get(name)
    if value is None:
        faults.append(_fault(name, "required", "is required"))
        return ""
    if not isinstance(value, str):
        faults.append(_fault(name, "type", "must be a text"))
        return ""
    if not value:
        faults.append(_fault(name, "minLength", "must not be empty"))
    return value


def _read_required(event: dict[str, Any], envelope: Envelope, faults: list[FieldError]) -> None:
    if event.get("specversion") != "1.0":
        code = "required" if event.get("specversion") is None else "specversion"
        faults.append(_fault("specversion", code, 'must be "1.0"'))
    envelope.id = identifier = _required_text(event, "id", faults)
    if len(identifier) > MAX_ID or not identifier.isprintable():
        faults.append(_fault("id", "bad_id", "must be 1 to 128 printable characters"))
        envelope.id = identifier[:MAX_ID]
    envelope.type = kind = _required_text(event, "type", faults)
    if len(kind) > MAX_TYPE:
        faults.append(_fault("type", "maxLength", f"must have at most {MAX_TYPE} characters"))
        envelope.type = kind[:MAX_TYPE]
    envelope.source = source = _required_text(event, "source", faults)
    if len(source) > MAX_SOURCE:
        faults.append(_fault("source", "maxLength", f"must have at most {MAX_SOURCE} characters"))
        envelope.source = source[:MAX_SOURCE]
    elif source and not _URI_REFERENCE.fullmatch(source):
        faults.append(_fault("source", "bad_source", "must be a URI reference"))


def _read_optional(event: dict[str, Any], envelope: Envelope, faults: list[FieldError]) -> None:
    time = event.get("time")
    if time is not None:
        if isinstance(time, str):
            try:
                envelope.occurred_us = parse_us(time)
            except TimeError as error:
                faults.append(_fault("time", error.code, "must be an RFC 3339 time with an offset"))
        else:
            faults.append(_fault("time", "type", "must be a text"))
    envelope.subject = _optional_text(event, "subject", MAX_SUBJECT, faults)
    envelope.dataschema = _optional_text(event, "dataschema", MAX_DATASCHEMA, faults)
    envelope.datacontenttype = media = _optional_text(event, "datacontenttype", 255, faults)
    if media is not None and not _MEDIA_TYPE.fullmatch(media_type(media)):
        faults.append(_fault("datacontenttype", "bad_media_type", "must be a media type"))


def _optional_text(
    event: dict[str, Any], name: str, longest: int, faults: list[FieldError]
) -> str | None:
    value = event.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        faults.append(_fault(name, "type", "must be a text"))
        return None
    if len(value) > longest:
        faults.append(_fault(name, "maxLength", f"must have at most {longest} characters"))
        return value[:longest]
    return value


def _read_data(
    event: dict[str, Any], envelope: Envelope, faults: list[FieldError]
) -> tuple[FieldError, ...]:
    """The event's data; gives the limits that JSON breaks which came packed in base64."""
    encoded = event.get("data_base64")
    if encoded is None:
        if "data" in event:
            envelope.has_data = True
            envelope.data = event["data"]
        return ()
    if "data" in event:
        faults.append(_fault("data_base64", "both", "must not stand beside data"))
        return ()
    if not isinstance(encoded, str):
        faults.append(_fault("data_base64", "type", "must be a text"))
        return ()
    try:
        content = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        faults.append(_fault("data_base64", "base64", "must be base64"))
        return ()
    envelope.has_data = True
    if not is_json_type(envelope.datacontenttype):
        envelope.data_bytes = content
        return ()
    try:
        examined = _read(content)
    except BadRequestError as error:
        if envelope.datacontenttype is None:
            envelope.data_bytes = content
        else:
            faults.append(_fault("data_base64", error.code, "must hold JSON, as its type says"))
        return ()
    envelope.data = examined.value
    # JSON that was unpacked holds to the limits as if it had been sent plainly.
    return _inside_data(examined.findings) or strict_json.find_limit_breaks(
        {"data": envelope.data}, content
    )


def _read_extensions(event: dict[str, Any], envelope: Envelope, faults: list[FieldError]) -> None:
    extensions: dict[str, str | int | bool] = {}
    for name, value in event.items():
        if name in _CORE or value is None:
            continue
        if not _EXTENSION_NAME.fullmatch(name):
            faults.append(
                FieldError("", "extension_name", "extensions have lower case letters and digits")
            )
        elif not isinstance(value, str | bool | int):
            faults.append(_fault(name, "type", "must be a text, a whole number or a boolean"))
        else:
            extensions[name] = value
    envelope.extensions = extensions
