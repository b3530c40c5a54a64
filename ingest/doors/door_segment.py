"""The door of the Segment HTTP tracking API: `POST /v1/{track,identify,…,batch}` and short forms.

Its key may stand in the head, in the body, or in both; the content type means nothing. Success is
exactly 200 `{"success": true}`, for one SDK takes no other 2xx; every error has `code` and
`message`. SDKs never send again what got a 4xx other than 408 and 429, so what a 400 refuses for
the size of one call is kept whole as dead letters.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final

import orjson
from django.http import HttpResponse

from catalog.naming import MAX_ALIAS
from ingest.doors import door
from ingest.doors.door import Door, Head, Reply, Visit
from ingest.doors.limits import quotas
from ingest.judging import admission, pipeline
from ingest.judging.admission import Directory, Publisher, StreamEntry
from ingest.protocols import cloudevents, segment
from ingest.protocols.cloudevents import Room, Run
from ingest.protocols.segment import Call, Sender
from ingest.types import Envelope, Reason
from portal.kernel import inflate
from portal.kernel.errors import (
    BadRequestError,
    FieldError,
    PortalError,
    TooLargeError,
    UnauthenticatedError,
)

SUCCESS: Final = b'{"success":true}'
_ALLOWED_HEADERS: Final = "authorization, content-type, x-retry-count"
# The bytes that packed bodies begin with. JSON never does.
_MAGIC: Final = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"))
_MAX_NAMES: Final = 1_000
_OVERSIZE: Final = FieldError("", "too_large", "An item may have at most 32 KB.")
_BESIDE_OVERSIZE: Final = FieldError(
    "", "too_large", "came in a batch that was refused for an item of more than 32 KB"
)


@dataclass(slots=True)
class SegmentVisit(Visit):
    """A request of one call or a batch of calls. `calls` fills up while `runs` goes on."""

    settles_names: ClassVar[bool] = True

    kind: str
    calls: list[Call] = field(default_factory=list)

    def runs(self, body: bytes, room: Room) -> Iterator[Run]:
        """As `Visit.runs`, a call each: what it is an event of is settled when all are known."""
        self.calls.clear()  # the short road may have begun with it
        publisher = self.publisher
        sender = Sender(
            admission.segment_source(publisher.name),
            publisher.default_domain,
            self.received_us,
        )
        if self.kind == segment.BATCH:
            calls = segment.read_batch(body, sender)
        else:
            calls = iter((segment.read_call(body, self.kind, sender),))
        for call in calls:
            self.calls.append(call)
            yield (call.envelope,)

    @property
    def is_oversize(self) -> bool:
        """Whether a call of it has more than 32 KB; known once `runs` has ended."""
        return any(call.is_oversize for call in self.calls)

    def names_meant(self, envelopes: Sequence[Envelope]) -> set[str]:
        """The names that the calls gave and what the house makes of them, as far as it is not
        known yet which of the two is meant."""
        known = self.publisher.names_meant
        names: set[str] = set()
        for call in self.calls:
            if call.original and (call.kind, call.original) not in known:
                names.add(call.envelope.type)
                if len(call.original) <= MAX_ALIAS:
                    names.add(call.original)
        return names

    def settle_names(
        self,
        envelopes: Sequence[Envelope],
        loaded: Mapping[str, StreamEntry],
        directory: Directory,
    ) -> None:
        """Give each envelope the name of the stream it is for, and refuse what is too large."""
        for call in self.calls:
            if call.original:
                self._settle(call, loaded, directory)
        if self.is_oversize:
            self._refuse_all()

    def _settle(self, call: Call, loaded: Mapping[str, StreamEntry], directory: Directory) -> None:
        known, key = self.publisher.names_meant, (call.kind, call.original)
        name = known.get(key)
        if name is None:
            found = {
                name: stream
                for name in _candidates(call)
                if (stream := loaded.get(name) or directory.stream(name)) is not None
            }
            name = self._chosen(found)
            if name is None:  # not remembered: somebody may register it at any time
                if call.nameless:
                    segment.refuse_nameless(call)
                return
            if len(known) >= _MAX_NAMES:
                known.clear()
            known[key] = name
        if name != call.envelope.type:
            call.envelope.type = name
            call.envelope.head = None  # it was found for the other name
            if call.envelope.content_type == cloudevents.STRUCTURED:
                event = orjson.loads(call.envelope.raw)
                call.envelope.raw = orjson.dumps({**event, "type": name})

    def _chosen(self, found: Mapping[str, StreamEntry]) -> str | None:
        """Of the streams that a name may mean the first that the key may publish to, else the first
        that it may know of: what is hidden from it is not there."""
        publisher = self.publisher
        permitted = (name for name, stream in found.items() if publisher.may_publish(stream))
        open_ones = (name for name, stream in found.items() if publisher.may_know(stream))
        return next(permitted, None) or next(open_ones, None)

    def _refuse_all(self) -> None:
        """The answer will be a 400, after which no SDK sends any of this again: keep it all."""
        for call in self.calls:
            if call.envelope.reason is None:
                fault = _OVERSIZE if call.is_oversize else _BESIDE_OVERSIZE
                call.envelope.refuse(Reason.LIMIT_EXCEEDED, fault)

    def reply(self, batch: pipeline.Batch) -> Reply:
        """Success, whatever became of each call: accepted, duplicate or a dead letter."""
        quotas.charge(self.publisher, batch.items, batch.streams.values())
        if self.is_oversize:
            raise segment.too_large(
                "An item may have at most 32 KB. Everything in this request was kept as dead "
                "letters."
            )
        self.headers["Content-Type"] = "application/json"
        return Reply(200, self.headers, SUCCESS)

    def body_to_keep(self, body: bytes) -> bytes:
        return segment.without_keys(body)


def _candidates(call: Call) -> tuple[str, str]:
    """The names that a call may mean, the likelier first: of an event an alias of just that
    spelling; of the other calls the producer's own stream."""
    made = call.envelope.type
    return (call.original, made) if call.kind == "track" else (made, call.original)


class SegmentDoor(Door):
    paths: ClassVar[frozenset[str]] = frozenset(
        f"/v1/{word}{slash}" for word in segment.WORDS for slash in ("", "/")
    )
    most_bytes: ClassVar[int] = segment.MAX_BODY_BYTES
    key_in_body: ClassVar[bool] = True
    # The key comes with the call itself, which is then held to the key's origins.
    asks_origins: ClassVar[bool] = False

    def credential(self, head: Head) -> str | None:
        """That of `Authorization`, None without. Raises MethodNotAllowedError, and BadRequestError
        for a key in the address."""
        door.post_only(head)
        door.refuse_key_in(head.query)
        return door.header_credential(head)

    def credential_in(self, head: Head, body: bytes) -> str | None:
        """The `writeKey` of the body, None without. Raises BadRequestError for a body that cannot
        be read; with an `Authorization` in the head UnauthenticatedError instead."""
        try:
            return segment.key_of(self.unpack(door.encoding_of(head), body))
        except BadRequestError:
            if head.get("authorization"):  # the key that was shown is wrong, whatever the body
                raise UnauthenticatedError from None
            raise

    def enter(
        self, head: Head, publisher: Publisher | None, *, request_id: str, headers: dict[str, str]
    ) -> SegmentVisit:
        """As `Door.enter`; the content type is not asked, as SDKs say what they like."""
        publisher = door.authorize(head, publisher, headers)
        encoding = door.encoding_of(head)
        ticket = door.admit(self, head, publisher, encoding, headers)
        return SegmentVisit(
            publisher,
            encoding,
            head.get("content-type"),
            pipeline.now_us(),
            request_id,
            headers,
            ticket,
            is_rehearsal=False,
            kind=segment.WORDS[head.path.rstrip("/").rpartition("/")[2]],
        )

    def unpack(self, encoding: str, body: bytes) -> bytes:
        """The body unpacked, also one that is packed and does not say so."""
        for magic, name in _MAGIC:
            if encoding in ("", "identity") and body.startswith(magic):
                encoding = name
        try:
            return inflate.inflate(body, encoding, most=self.most_bytes)
        except TooLargeError as error:
            raise self.too_large() from error

    def too_large(self) -> PortalError:
        return segment.too_large("A batch may have at most 500 KB. Nothing of it was kept.")

    def refuse(
        self, head: Head, error: PortalError, *, request_id: str, headers: dict[str, str]
    ) -> Reply:
        return refusal(head, error, headers)

    def preflight(self, head: Head, origins: frozenset[str], headers: dict[str, str]) -> Reply:
        return preflight(head, headers, self.methods)


def refusal(head: Head, error: PortalError, headers: dict[str, str]) -> Reply:
    """An error as Segment's SDKs read it. A page may read it too, so that its SDK can tell what is
    worth another try; not when it is the page that may not use the key."""
    merged = {**headers, **error.headers, "Content-Type": "application/json"}
    origin = head.get("origin")
    if origin and error.code != "origin":
        merged.update(door.cors(origin))
    code = "invalid_write_key" if isinstance(error, UnauthenticatedError) else error.code
    message = {"code": code, "message": error.detail, **error.extra}
    return Reply(error.status, merged, orjson.dumps(message))


def shape(error: PortalError) -> HttpResponse:
    """An error of the framework's under our addresses, as `portal.http.problem` asks for it."""
    reply = refusal(Head("", "", "", (), {}), error, {})
    return HttpResponse(reply.body, status=reply.status, headers=reply.headers)


def preflight(head: Head, headers: dict[str, str], methods: str) -> Reply:
    """Any page may ask whether it may call: no key comes with the question."""
    headers["Allow"] = methods
    headers["Vary"] = "Origin"
    origin = head.get("origin")
    if origin:
        headers.update(door.cors(origin))
        headers["Access-Control-Allow-Methods"] = methods.partition(",")[0]
        headers["Access-Control-Allow-Headers"] = _ALLOWED_HEADERS
        headers["Access-Control-Max-Age"] = "600"
    return Reply(204, headers, b"")
