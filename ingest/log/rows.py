"""Rows of the event log in PostgreSQL's binary COPY format, by integer arithmetic only.

The same bytes go straight into the event table or into the staging table of the slow road, so that
both roads store identical rows by construction.
"""

from struct import Struct
from typing import Any, Final
from uuid import UUID

import msgspec
import orjson

from ingest.types import Envelope
from portal.kernel.errors import FieldError

HEADER: Final = b"PGCOPY\n\xff\r\n\x00" + b"\x00" * 8
TRAILER: Final = b"\xff\xff"
# PostgreSQL counts from 2000-01-01.
_PG_EPOCH_US: Final = 946_684_800_000_000
_NULL: Final = b"\xff\xff\xff\xff"
# What a retry of the same event may carry otherwise: its trace, and how wrong its sender's clock
# was (`ingest.protocols.segment`).
_BESIDE_IDENTITY: Final = frozenset({"traceparent", "tracestate", "segmentskewms"})
# The Python SDK writes a boolean so in a header.
_SPELLED_IN_HEADERS: Final = {"True": "true", "False": "false"}

# 15 columns: stream_id, track, occurred_at, then the length of event_id.
_EVENT_HEAD: Final = Struct("!hiqihiqi")
# received_at, producer_id, then version.
_EVENT_MIDDLE: Final = Struct("!iqiq")
_INT4: Final = Struct("!ii")
_LENGTH: Final = Struct("!i")
_MARKS: Final = Struct("!ih")
_INT8: Final = Struct("!iq")
_SORTED: Final = orjson.OPT_SORT_KEYS


def dump(value: Any) -> bytes:
    """JSON text of a value with sorted keys, as it is stored and hashed."""
    return orjson.dumps(value, option=_SORTED)


def attributes_of(envelope: Envelope) -> dict[str, Any]:
    """What the column `attributes` holds: optional attributes and extensions, as sent."""
    attributes: dict[str, Any] = dict(envelope.extensions)
    if envelope.dataschema is not None:
        attributes["dataschema"] = envelope.dataschema
    if envelope.datacontenttype is not None:
        attributes["datacontenttype"] = envelope.datacontenttype
    return attributes


def identity_text(envelope: Envelope) -> bytes:
    """The attributes that count when two events of one identity are compared.

    Trace context is left aside, as a retry may carry another; so is the skew of a Segment call; extension values count by their
    text, since binary mode can only send text; JSON is the content type when none is named.
    """
    parts: dict[str, str] = {
        name: _SPELLED_IN_HEADERS.get(text := str(value), text)
        for name, value in envelope.extensions.items()
        if name not in _BESIDE_IDENTITY
    }
    media = envelope.datacontenttype
    return dump(
        [
            envelope.source,
            envelope.subject,
            envelope.dataschema,
            None if media is None or _is_plain_json(media) else media,
            parts,
        ]
    )


def _is_plain_json(media: str) -> bool:
    """Whether a content type is JSON's, as the npm SDK writes it too: with a charset."""
    return (
        media == "application/json" or media.partition(";")[0].strip().lower() == "application/json"
    )


def identity_around_subject(envelope: Envelope) -> tuple[bytes, bytes]:
    """What stands before and after the subject in `identity_text` of such an envelope."""
    mark = "\ue000\ue001"  # stands nowhere else: a source is ASCII
    before, _, after = identity_text(msgspec.structs.replace(envelope, subject=mark)).partition(
        dump(mark)
    )
    return before, after


def text_cell(value: str) -> bytes:
    """A text as a column of a row."""
    return _text(value)


def jsonb_cell(value: bytes) -> bytes:
    """JSON as a column of a row."""
    return _jsonb(value)


def _blob(value: bytes | None) -> bytes:
    return _NULL if value is None else _LENGTH.pack(len(value)) + value


def _text(value: str | None) -> bytes:
    return _NULL if value is None else _blob(value.encode("utf-8"))


def _jsonb(value: bytes | None) -> bytes:
    return _NULL if value is None else _LENGTH.pack(len(value) + 1) + b"\x01" + value


def _moment(us: int | None) -> bytes:
    return _NULL if us is None else _INT8.pack(8, us - _PG_EPOCH_US)


def pack_event(
    *,
    stream_id: int,
    track: int,
    occurred_us: int,
    event_id: bytes,
    received_us: int,
    producer_id: int,
    version: int | None,
    subject: str | None,
    source: str,
    attributes: bytes,
    data: bytes | None,
    data_bytes: bytes | None,
    extra: bytes | None,
    content_hash: bytes,
    marks: int,
) -> bytes:
    """One row of `ingest_event` without `tx` and `seq`, which the table fills."""
    return b"".join(
        (
            _EVENT_HEAD.pack(
                15, 8, stream_id, 2, track, 8, occurred_us - _PG_EPOCH_US, len(event_id)
            ),
            event_id,
            _EVENT_MIDDLE.pack(8, received_us - _PG_EPOCH_US, 8, producer_id),
            _NULL if version is None else _INT4.pack(4, version),
            _text(subject),
            _text(source),
            _jsonb(attributes),
            _jsonb(data),
            _blob(data_bytes),
            _jsonb(extra),
            _blob(content_hash),
            _MARKS.pack(2, marks),
        )
    )


_MANY: Final = 1024
_LENGTHS: Final = tuple(_LENGTH.pack(length) for length in range(_MANY))
# The length of an event's data with the mark of binary jsonb, and the columns after it.
_DATA_HEAD: Final = Struct("!ib")
_HASH_HEAD: Final = _LENGTH.pack(32)
_NO_BYTES_NO_EXTRA: Final = _NULL + _NULL + _HASH_HEAD
_NO_MARKS: Final = _MARKS.pack(2, 0)


def subject_forms(subject: str | None) -> tuple[bytes, bytes]:
    """A subject as JSON and as a column of a row."""
    if subject is None:
        return b"null", _NULL
    written = orjson.dumps(subject)
    if b"\\" in written or len(written) > _MANY:
        return written, _text(subject)
    return written, _LENGTHS[len(written) - 2] + written[1:-1]


def pack_known_event(
    ids: tuple[int, int],
    occurred_us: int,
    event_id: bytes,
    middle: bytes,
    subject: bytes,
    cells: bytes,
    data: bytes,
    extra: bytes | None,
    content_hash: bytes,
    marks: int,
) -> bytes:
    """As `pack_event`, of an event whose columns are mostly those of others.

    `ids` are the stream and the track; `middle` comes from `middle_cells`, `subject` from
    `subject_forms`, `cells` are the source and the attributes.
    """
    return b"".join(
        (
            _EVENT_HEAD.pack(
                15, 8, ids[0], 2, ids[1], 8, occurred_us - _PG_EPOCH_US, len(event_id)
            ),
            event_id,
            middle,
            subject,
            cells,
            _DATA_HEAD.pack(len(data) + 1, 1),
            data,
            _NO_BYTES_NO_EXTRA if extra is None else _NULL + _jsonb(extra) + _HASH_HEAD,
            content_hash,
            _MARKS.pack(2, marks) if marks else _NO_MARKS,
        )
    )


def middle_cells(received_us: int, producer_id: int, version: int) -> bytes:
    """The columns `received_at`, `producer_id` and `version`."""
    return _EVENT_MIDDLE.pack(8, received_us - _PG_EPOCH_US, 8, producer_id) + _INT4.pack(
        4, version
    )


def pack_dead_letter(
    *,
    letter_id: UUID,
    received_us: int,
    stream_id: int | None,
    producer_id: int,
    envelope: Envelope,
    reason: str,
    errors: tuple[FieldError, ...],
    body: bytes,
    body_sha256: bytes,
    group_key: str,
) -> bytes:
    """One row of `ingest_dead_letter`; its state begins as the table's default."""
    return b"".join(
        (
            b"\x00\x0e",
            _blob(letter_id.bytes),
            _moment(received_us),
            _NULL if stream_id is None else _INT8.pack(8, stream_id),
            _INT8.pack(8, producer_id),
            _text(envelope.type),
            _text(envelope.id),
            _moment(envelope.occurred_us),
            _text(envelope.source),
            _text(reason),
            _jsonb(orjson.dumps([error.as_dict() for error in errors])),
            _blob(body),
            _text(envelope.content_type),
            _blob(body_sha256),
            _text(group_key),
        )
    )
