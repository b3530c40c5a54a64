"""Values of ingest: reasons of refusal in their order of testing, the envelope, the outcomes."""

from enum import IntFlag, StrEnum
from typing import Any, Final, NotRequired, TypedDict

import msgspec

from portal.kernel.errors import FieldError, FieldErrorDict

MAX_EVENTS: Final = 5000
MAX_UNPARSABLE_BYTES: Final = 64 * 1024


class Reason(StrEnum):
    """Why an event is a dead letter, in the order of testing: the first that holds is given."""

    UNPARSABLE = "unparsable"
    ENVELOPE_INVALID = "envelope_invalid"
    LIMIT_EXCEEDED = "limit_exceeded"
    UNKNOWN_STREAM = "unknown_stream"
    NOT_PERMITTED = "not_permitted"
    QUARANTINED = "quarantined"
    OUT_OF_WINDOW = "out_of_window"
    SCHEMA_UNKNOWN = "schema_unknown"
    VERSION_RETIRED = "version_retired"
    SCHEMA_VIOLATION = "schema_violation"
    PRIVACY_REFUSED = "privacy_refused"
    ID_CONFLICT = "id_conflict"


# Registering the stream or lifting the quarantine replays these: a batch of them is not a 422.
WAITING: Final = frozenset({Reason.UNKNOWN_STREAM, Reason.QUARANTINED})


class Status(StrEnum):
    """What became of an event; a duplicate was stored before with the same content."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    DEAD_LETTERED = "dead_lettered"


class Mark(IntFlag):
    """Bit flags kept with an accepted event."""

    NONE = 0
    VIOLATION = 1  # broke its contract under observe or warn
    DRIFT = 2  # carried fields beyond the writer form, set aside in `extra`
    TIME_FROM_RECEIPT = 4  # came without a time; identity is the ledger's
    TIME_FROM_ID = 8  # came without a time; taken from its UUIDv7 id
    IMPORTED = 16
    CORRECTED = 32  # named an older version and was judged by the one that corrects it
    MINIMISED = 64  # carried fields beyond the contract, which were taken out
    REPLAYED = 128  # was a dead letter first
    FIELDS_EXPIRED = 1024  # a field whose own life was over was taken out; the hash is of before
    ERASED_IN_PLACE = (
        2048  # a value of somebody who was erased was taken out; the hash is of before
    )


class Envelope(msgspec.Struct, gc=False):
    """One event as it came, after the protocol's parser and before any knowledge of streams.

    When `reason` is set, the event is refused already and the other fields hold what could be
    read. `raw` are its bytes. `occurred_us` are microseconds since 1970.

    Once `is_treated`, the fields hold what privacy left of the event, and `raw` is not to be kept;
    `kept` is then what a dead letter keeps, where that isn't made of the fields. `came_treated`:
    it was read from a dead letter that had been treated (`ingest.privacy.treating`).
    """

    raw: bytes
    content_type: str
    id: str = ""
    type: str = ""
    source: str = ""
    occurred_us: int | None = None
    subject: str | None = None
    dataschema: str | None = None
    datacontenttype: str | None = None
    extensions: dict[str, str | int | bool] = {}
    has_data: bool = False
    data: Any = None
    data_bytes: bytes | None = None
    reason: Reason | None = None
    errors: tuple[FieldError, ...] = ()
    head: Any = None  # the ingest.protocols.heads.Head that was found for it
    is_treated: bool = False
    came_treated: bool = False
    kept: bytes | None = None
    is_open: bool = False  # refused under a contract that is known, and holds nothing back any more

    def refuse(self, reason: Reason, *errors: FieldError) -> "Envelope":
        """Mark it as refused; its data, which may fill a hundred megabytes, is let go."""
        self.reason = reason
        self.errors = errors
        self.data = None
        return self


class ResultDict(TypedDict):
    """One event of an answer; `index` is its place in the request, from 0."""

    index: int
    id: str
    status: str
    reason: NotRequired[str]
    dead_letter: NotRequired[str]
    errors: NotRequired[list[FieldErrorDict]]
    note: NotRequired[str]


class AnswerDict(TypedDict):
    """What became of a request's events. `results` names those that were not plainly accepted, and
    all of them when that was asked for."""

    received: int
    accepted: int
    duplicate: int
    dead_lettered: int
    results: list[ResultDict]
