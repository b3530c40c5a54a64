"""What every door shares, without any framework: the raw ASGI handler and the Django views use it.

A `Door` is one protocol at its addresses: how its requests name their key, what their heads must
say, how its body becomes envelopes, and what its answers and errors look like. The road is the same
for all:

1. The head is read (`credential`, `enter`), which decides everything that needs no body: method,
   parameters, key, media types, quota, room. The result is a `Visit`.
2. The body comes, is unpacked (`unpack`) and parsed (`envelopes`), judged and stored
   (`ingest.judging.pipeline`).
3. The outcome becomes a `Reply` in the protocol's own shape (`reply`, `refuse`).

A protocol whose key may stand in the body (`key_in_body`) has as much of it read first as a
stranger may send, and then goes the same road.
"""

import random
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final
from urllib.parse import parse_qsl, unquote_plus

from governance.keys import PATTERN as KEY_PATTERN
from governance.services.keys import credential_of
from ingest.doors.gate import Ticket, gate
from ingest.doors.limits import quotas
from ingest.judging import pipeline
from ingest.judging.admission import Directory, Publisher, StreamEntry
from ingest.log.group import Item, Submission
from ingest.log.store import writer
from ingest.protocols.cloudevents import Room, Run
from ingest.types import Envelope
from portal.http.addresses import is_our_host
from portal.http.problem import MethodNotAllowedError
from portal.kernel import inflate
from portal.kernel.errors import (
    BadRequestError,
    FieldError,
    NotPermittedError,
    PortalError,
    TooLargeError,
    UnauthenticatedError,
    UnavailableError,
)
from portal.kernel.identifiers import TRACEPARENT, uuid7_text

# These mean that the body as a whole can't be read; its bytes are kept as one dead letter.
UNPARSABLE_CODES: Final = frozenset(
    {"malformed_json", "duplicate_key", "too_deep", "shape", "malformed_encoding", "malformed_text"}
)
# Fields of which there is one: twice, each reader of the request may believe another.
_SINGLE: Final = frozenset({"host", "authorization", "content-type", "origin"})


@dataclass(frozen=True, slots=True)
class Head:
    """A request before its body. Header names are in lower case, values as sent (Latin-1).

    `headers` are all of them in order; of those with one name, `fields` holds the last.
    """

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    fields: Mapping[str, str]

    def get(self, name: str) -> str:
        """The last value of a field by its lower-case name; empty when it is absent."""
        return self.fields.get(name, "")

    def list_of(self, name: str) -> str:
        """All values of a field that may be repeated, joined as one list."""
        return ", ".join(value for key, value in self.headers if key == name)


@dataclass(slots=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Visit(ABC):
    """What is known of a request once its head has been let in."""

    # Whether the names that events give their streams have to be looked up to be settled.
    settles_names: ClassVar[bool] = False

    publisher: Publisher
    encoding: str
    content_type: str
    received_us: int
    request_id: str
    headers: dict[str, str]
    ticket: Ticket  # to be closed when the request is answered
    is_rehearsal: bool

    @abstractmethod
    def runs(self, body: bytes, room: Room) -> Iterator[Run]:
        """The events of an unpacked body in runs that fill the room there is for each; raises,
        possibly half-way, when it can't be read as a whole."""

    def names_meant(self, envelopes: Sequence[Envelope]) -> set[str]:
        """Names and aliases of streams to be known before `settle_names`."""
        return set()

    def settle_names(
        self,
        envelopes: Sequence[Envelope],
        loaded: Mapping[str, StreamEntry],
        directory: Directory,
    ) -> None:
        """Put the name that is meant into each envelope. Of `names_meant`, `loaded` holds what the
        directory did not have."""
        assert not self.settles_names

    @property
    def is_single(self) -> bool:
        """Whether the body is one event that says all of itself and may be judged with others of
        its key: `cloudevents.run_of_several` reads it, `reply_to` answers."""
        return False

    @abstractmethod
    def reply(self, batch: pipeline.Batch) -> Reply:
        """The answer after the commit. Charges the quotas."""

    def reply_to(self, item: Item) -> Reply:
        """The answer for a single event that was judged and charged with others."""
        raise NotImplementedError

    def body_to_keep(self, body: bytes) -> bytes:
        """What a dead letter keeps of a body that cannot be read."""
        return body


class Door(ABC):
    """One protocol at its addresses. Has no state: one instance serves every request."""

    paths: ClassVar[frozenset[str]]
    methods: ClassVar[str] = "POST, OPTIONS"
    most_bytes: ClassVar[int] = inflate.MAX_SENT_BYTES  # of a body as sent
    key_in_body: ClassVar[bool] = False
    asks_origins: ClassVar[bool] = True  # whether a preflight is judged by what keys allow

    @abstractmethod
    def credential(self, head: Head) -> str | None:
        """The credential in the head, after what outranks it: the method and the parameters."""

    def credential_in(self, head: Head, body: bytes) -> str | None:
        """The credential that a body as sent names, where a protocol has it there."""
        return None

    @abstractmethod
    def enter(
        self, head: Head, publisher: Publisher | None, *, request_id: str, headers: dict[str, str]
    ) -> Visit:
        """Let a request in or raise; adds fields to `headers`, which the refusal carries too."""

    def unpack(self, encoding: str, body: bytes) -> bytes:
        """The body without its Content-Encoding."""
        return inflate.inflate(body, encoding) if encoding else body

    def too_large(self) -> PortalError:
        """The error for a body of more than `most_bytes` as sent, for the caller to raise."""
        # The connection stays open, for the rest of the body to be read past: closed upon a client
        # that is still sending, it would take the answer with it.
        return TooLargeError("A body may have at most 5 MiB as sent.")

    @abstractmethod
    def refuse(
        self, head: Head, error: PortalError, *, request_id: str, headers: dict[str, str]
    ) -> Reply:
        """An error in the protocol's own shape."""

    @abstractmethod
    def preflight(self, head: Head, origins: frozenset[str], headers: dict[str, str]) -> Reply:
        """The answer to OPTIONS; `origins` are those of the keys, where they are asked for."""


def base_headers(head: Head, request_id: str) -> dict[str, str]:
    """What every answer carries, refusals too."""
    headers = {
        "X-Request-Id": request_id,
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    trace = head.get("traceparent")
    if trace and TRACEPARENT.fullmatch(trace):
        headers["traceparent"] = trace
    return headers


def new_request_id() -> str:
    """What the answer, the log and a problem document name a request by."""
    return uuid7_text()


def check_head(head: Head) -> None:
    """Refuse a request that is not meant for this host or says one thing twice."""
    # What a proxy was asked for counts too: nothing is made of it, but a foreign one is no accident.
    if not (is_our_host(head.get("host")) and is_our_host(head.get("x-forwarded-host"))):
        raise BadRequestError("The portal does not answer for this host.", code="host")
    if len(head.fields) != len(head.headers):
        names = [name for name, _ in head.headers if name in _SINGLE]
        if len(names) != len(set(names)):
            raise BadRequestError("A header that is sent once came twice.", code="header")


def post_only(head: Head) -> None:
    """Refuse another method than POST. Raises MethodNotAllowedError."""
    if head.method != "POST":
        raise MethodNotAllowedError("Send events with POST.", headers={"Allow": Door.methods})


def parameters_of(query: str) -> list[tuple[str, str]]:
    """The parameters of a query in order; unreadable ones, and a key among them, are a 400."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=20, errors="strict")
    except (ValueError, UnicodeDecodeError) as error:
        raise BadRequestError("The parameters cannot be read.", code="parameter") from error
    refuse_key_in(query)
    return pairs


def refuse_key_in(query: str) -> None:
    """A key in an address, however it is escaped there, is in logs by now. Raises BadRequestError."""
    if query and KEY_PATTERN.search(unquote_plus(query)):
        raise BadRequestError(
            "A key never goes into an address, where logs keep it: send it as a header, and "
            "revoke this one.",
            code="key_in_query",
        )


def header_credential(head: Head) -> str | None:
    """The credential in `Authorization`, as bearer or as the user of basic; None without one."""
    return credential_of(head.get("authorization"))


def encoding_of(head: Head) -> str:
    """The Content-Encoding of a request, empty for none; another than gzip and zstd is a 415."""
    if not head.get("content-encoding"):
        return ""
    return inflate.check_encoding(head.list_of("content-encoding"))


def authorize(head: Head, publisher: Publisher | None, headers: dict[str, str]) -> Publisher:
    """The publisher of a request, whose key lives, may be used from there and may send at all."""
    if publisher is None:
        raise UnauthenticatedError
    check_origin(head, publisher, headers)
    if not publisher.may_publish_anything:
        raise NotPermittedError(
            "This key may publish to no stream. Ask the owners of a stream to let its producer "
            "publish.",
            permission="publish",
            request_at=f"/producers/{publisher.name}/",
        )
    return publisher


def admit(
    door: Door, head: Head, publisher: Publisher, encoding: str, headers: dict[str, str]
) -> Ticket:
    """Length, quotas and room, in this order: what is decided last before the body is read."""
    check_length(door, head)
    headers.update(quotas.admit(publisher))
    return gate.enter(
        publisher.key_id,
        head.get("content-length"),
        is_full=writer().is_full,
        is_packed=bool(encoding),
        is_on_trial=quotas.is_on_trial(publisher.key_id),
    )


def check_origin(head: Head, publisher: Publisher, headers: dict[str, str]) -> None:
    """Hold a browser-safe key to its origins, and let pages there read the answer."""
    origin = head.get("origin")
    if origin and publisher.origins:
        if origin not in publisher.origins:
            raise NotPermittedError("This key may not be used from this origin.", code="origin")
        headers.update(cors(origin))


def check_room() -> None:
    """Turn a request away while the writer has more than it can hold."""
    if writer().is_full:
        raise UnavailableError(
            "The portal has more to write than it can hold just now.",
            retry_after_seconds=random.randint(1, 5),  # noqa: S311  # jitter
        )


def check_length(door: Door, head: Head) -> None:
    """Refuse a body that says itself that it is too long. Raises BadRequestError and TooLargeError."""
    content_length = head.get("content-length")
    if not content_length:
        return
    if not content_length.isascii() or not content_length.isdigit():
        raise BadRequestError("Content-Length is not a number.", code="content_length")
    if len(content_length) > 15 or int(content_length) > door.most_bytes:
        raise door.too_large()


def batch_of(visit: Visit, directory: Directory) -> pipeline.Batch:
    """An empty batch for the events of a request."""
    return pipeline.Batch(
        visit.publisher, visit.received_us, directory, is_rehearsal=visit.is_rehearsal
    )


def keeps_body(visit: Visit, error: BadRequestError) -> bool:
    """Whether the bytes of an unreadable body are kept as a dead letter."""
    return error.code in UNPARSABLE_CODES and not visit.is_rehearsal


def unparsable_item(visit: Visit, body: bytes, error: BadRequestError) -> Submission:
    """The one dead letter of a body that cannot be read, for the writer."""
    return pipeline.unparsable(
        visit.publisher,
        visit.received_us,
        visit.body_to_keep(body),
        visit.content_type,
        FieldError("", error.code, error.detail),
    )


def name_dead_letter(error: BadRequestError, item: Item) -> BadRequestError:
    """The error with the dead letter that keeps the body."""
    error.extra["dead_letter"] = str(item.dead_letter)
    return error


def cors(origin: str) -> dict[str, str]:
    """What lets a page of an origin read an answer and what it says about limits and ends."""
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": (
            "X-Request-Id, Retry-After, RateLimit, RateLimit-Policy, traceparent, Deprecation, "
            "Sunset, Link"
        ),
        "Vary": "Origin",
    }
