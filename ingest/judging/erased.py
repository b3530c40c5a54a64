"""Events about somebody who was erased: refused on every road, and nothing of them is kept.

1. An event is about them when its subject, an id beside it or its partition key is theirs, as it came:
   before a token stands for it. Of an event that no parser could read whole, its bytes tell.
2. What happened up to the erasure is refused for good; what happened later as its stream says. While
   the erasure is under way a token still stands for the person, so nobody begins afresh before its end.
3. The dead letter holds what it needs to be counted: type, id, producer and time. No body, no source,
   no identifier; a keyed hash of the bytes, by which a repeat of it is known.

While nobody was ever erased, an event costs nothing more (`governance.tombstones`).
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from catalog.types import ErasedSubjects
from governance import tombstones
from governance.erasing import mark_of
from governance.privacy import keys
from governance.whole_values import words_of_bytes
from ingest.judging.admission import StreamEntry
from ingest.privacy.treating import TREATED_TYPE
from ingest.times import moment_of
from ingest.types import MAX_UNPARSABLE_BYTES, Envelope
from portal.kernel import strict_json
from portal.kernel.errors import BadRequestError, FieldError

# The attributes that say whom an event is about, beside its subject.
BESIDE: Final = ("anonymousid", "previousid", "partitionkey")
REFUSED: Final = FieldError("/subject", "erased", "is about somebody who was erased")
# The same in a call of Segment's that no event was made of.
_WHO: Final = ("subject", *BESIDE, "userId", "anonymousId", "previousId")
_NOT_YET: Final = datetime.max.replace(tzinfo=UTC)  # until an erasure is done
_LONGEST: Final = 1024  # characters, as of `governance.erasing.Sought`


def until(subject: str | None, extensions: Mapping[str, Any]) -> datetime | None:
    """Up to when events about whom these name are refused for good; None: nobody was erased."""
    found = _until(subject) if subject else None
    for name in BESIDE:
        if name in extensions and extensions[name] != subject:
            other = _until(extensions[name])
            if other is not None and (found is None or other > found):
                found = other
    return found


def until_of(envelope: Envelope) -> datetime | None:
    """As `until`, of an event whatever is wrong with it."""
    found = until(envelope.subject, envelope.extensions)
    if found is not None or envelope.reason is None:
        return found
    try:
        members = strict_json.read_oversize(envelope.raw)
    except BadRequestError:
        return until_in(envelope.raw)
    if not isinstance(members, dict):
        return None
    return _latest(members.get(name) for name in _WHO)


def until_in(body: bytes) -> datetime | None:
    """As `until`, of bytes that cannot be read: who stands as a word in what would be kept of them."""
    return _latest(words_of_bytes(body[:MAX_UNPARSABLE_BYTES]))


def is_refused(stream: StreamEntry | None, occurred_us: int, erased_until: datetime) -> bool:
    """Whether an event about somebody who was erased is refused, by its own time and its stream."""
    if moment_of(occurred_us) <= erased_until:
        return True
    return stream is None or stream.erased_subjects != ErasedSubjects.FRESH


def stripped(envelope: Envelope) -> Envelope:
    """What may be kept of such an event; nothing in it tells whom it was about."""
    is_named = _until(envelope.id) is not None
    return Envelope(
        keys.body_hash(envelope.raw),
        TREATED_TYPE,
        id="" if is_named else envelope.id,
        type=envelope.type if _until(envelope.type) is None else "",
        occurred_us=envelope.occurred_us,
        is_treated=True,
        kept=b"",
        is_open=True,
    )


def is_row_refused(subject: str | None, attributes: str, occurred_us: int) -> bool:
    """Whether an archived event, its attributes as JSON, is of before the erasure of whom it is about."""
    found = until(subject, orjson.loads(attributes))
    return found is not None and moment_of(occurred_us) <= found


def _until(value: Any) -> datetime | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value)
    if not 0 < len(text) <= _LONGEST:
        return None
    mark = mark_of(text)
    until = tombstones.erased_until(mark)
    return _NOT_YET if until is not None and tombstones.is_running(mark) else until


def _latest(values: Iterable[Any]) -> datetime | None:
    found = [until for value in values if (until := _until(value)) is not None]
    return max(found, default=None)
