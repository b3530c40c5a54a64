"""The HTTP/1.1 protocol of the web processes: uvicorn's, with limits and errors of our own.

1. What is no HTTP is refused with a problem document, like everything else.
2. The head of a request has a size and a time, and a connection that serves nothing is closed. The
   parser knows no bounds: an endless head would fill the memory before any code of ours runs.
3. An offer to upgrade (Java's client sends `Upgrade: h2c` with every first request) is declined by
   answering in HTTP/1.1. The parser would drop the body of such a request; it reads it again here
   without the offer.
4. What still comes of a body that was answered early is read past, up to a bound, also when the
   connection ends with it: closed upon a client that is still sending, it takes the answer along.
5. A request to the short road (`ShortRoad`, of the ingest) is answered without a task: its head is
   judged when it is complete, its body when that came along. What the road does not let in, or waits
   for its body, goes to the application as if it had just come, with what was found out in its scope.
   A client's requests mostly have heads that are the same to the byte. One whose head is known and
   that has come whole goes by without the parser.
6. A process has so many connections at most. One more takes the place of those that have been
   serving nothing for longest; if each has a request in hand, it is a 503.

Nothing here runs per header or per event; a request costs a few comparisons more.
"""

import asyncio
import heapq
import json
import logging
import random
import resource
from asyncio.events import TimerHandle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar, Final
from typing import Protocol as Interface

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from portal.kernel.errors import BadRequestError, PortalError, UnavailableError
from portal.kernel.failpoints import failpoint, is_armed
from portal.kernel.identifiers import uuid7

MAX_HEAD_BYTES: Final = 64 * 1024
MAX_READ_PAST_BYTES: Final = 32 * 1024 * 1024
HEAD_SECONDS: Final = 20.0
# Of one process; each costs a file descriptor, and files and the database need some too.
MAX_CONNECTIONS: Final = max(64, min(4096, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 256))
# Closed together, as finding them is a look at all.
_ROOM_AT_ONCE: Final = 64
_HEAD_END: Final = b"\r\n\r\n"
# Of heads that are kept to be known again.
_MAX_KNOWN_BYTES: Final = 2048
_MAX_KNOWN: Final = 1024
_OF_UPGRADES: Final = frozenset({b"upgrade", b"http2-settings"})


_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus
}
logger = logging.getLogger(__name__)


class ShortReply(Interface):
    """An answer whose body is whole. Names and values of its headers are Latin-1 and one line."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Written:
    """An answer as it is sent: status line and fields, each with its line's end, and the body."""

    head: bytes
    body: bytes


class ShortCall(Interface):
    """A request whose head was let in."""

    @property
    def is_short(self) -> bool:
        """Whether its body may come along; else the application reads it."""

    def take(self, body: bytes, answer: Callable[[Any], None]) -> None:
        """Take the whole body; `answer` gets the reply, once."""


class ShortHead(Interface):
    """What the head of a request says, for all requests whose heads are the same."""

    @property
    def length(self) -> int:
        """Of the body, in bytes; -1 where the head does not say."""

    def enter(self) -> ShortCall | Written | None:
        """Let a request in, or answer it at once; None: the application shall judge it.

        Raises RefusedError.
        """


class ShortRoad(Interface):
    """What answers requests beside the application."""

    @property
    def SCOPE_KEY(self) -> str:  # noqa: N802  # a constant of a module
        """Under which the application finds a call that it shall go on with."""

    def read(
        self, path: bytes, query: bytes, headers: Sequence[tuple[bytes, bytes]]
    ) -> ShortHead | None:
        """Read the head of a POST, names of fields in lower case; None: the application shall.

        Raises RefusedError.
        """


class RefusedError(Exception):
    """The short road does not let a request in: `reply` says why."""

    def __init__(self, reply: ShortReply) -> None:
        super().__init__()
        self.reply = reply


def written(reply: ShortReply) -> Written:
    """An answer as it is sent, but for the fields that every answer has.

    Raises ValueError where a field holds a line break.
    """
    lines = [f"{name.lower()}: {value}\r\n" for name, value in reply.headers.items()]
    head = f"{_STATUS_LINES[reply.status]}{''.join(lines)}content-length: {len(reply.body)}\r\n"
    if head.count("\n") != len(lines) + 2 or head.count("\r") != len(lines) + 2:
        raise ValueError("a header of an answer holds a line break")
    return Written(head.encode("latin-1"), reply.body)


class HeadTooLargeError(PortalError):
    status = 431
    code = "head_too_large"
    title = "The head of the request is too large"


class HeadTimeoutError(PortalError):
    status = 408
    code = "request_timeout"
    title = "The request did not arrive in time"


class _LastResponse(asyncio.Transport):
    """What the last response of a connection is written to: it ends once the body has come."""

    def __init__(self, protocol: "Protocol") -> None:
        super().__init__()
        self._protocol = protocol

    def write(self, data: Any) -> None:
        self._protocol.transport.write(data)

    def is_closing(self) -> bool:
        return self._protocol.transport.is_closing()

    def close(self) -> None:
        self._protocol.end()


class _ShortCycle:
    """A request on the short road, where uvicorn keeps the latest request of a connection."""

    __slots__ = ("disconnected", "keep_alive", "message_event", "more_body", "response_complete")

    def __init__(self, *, is_complete: bool) -> None:
        self.response_complete = self.disconnected = False
        self.keep_alive, self.more_body = True, not is_complete
        self.message_event = _UNWATCHED


class _Unwatched:
    """The event that nobody waits for."""

    def set(self) -> None:
        pass


_UNWATCHED: Final = _Unwatched()


class _DefaultLines:
    """The fields of every answer, as uvicorn makes them anew each second, and their lines."""

    fields: Sequence[tuple[bytes, bytes]] = ()
    lines = b""


def _lines_of(fields: Sequence[tuple[bytes, bytes]]) -> bytes:
    if fields is not _DefaultLines.fields:
        _DefaultLines.lines = b"".join([b"%b: %b\r\n" % field for field in fields])
        _DefaultLines.fields = fields
    return _DefaultLines.lines


class Protocol(HttpToolsProtocol):
    """One connection of a client."""

    short_road: ClassVar[ShortRoad | None] = None
    _known: ClassVar[dict[bytes, ShortHead]] = {}

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._n_messages = 0
        self._open_head = 0  # the number of the message whose head is coming in, or 0
        self._offers_upgrade = False
        self._is_ending = False
        self._surplus_bytes = 0  # of an open head beyond its first piece, or of a body read past
        self._began = self.loop.time()
        self._watch: TimerHandle | None = None
        self._is_between = True  # nothing has come of the next request
        self._head: ShortHead | None = None  # of the request that was taken last
        self._call: ShortCall | None = None  # let in, while its body comes
        self._entered: ShortCall | None = None  # let in by a known head that the parser still reads
        self._parts: list[bytes] = []

    def connection_made(self, transport: Any) -> None:
        is_full = len(self.connections) >= MAX_CONNECTIONS and not self._make_room()
        super().connection_made(transport)
        if is_full:
            wait = random.randint(1, 5)  # noqa: S311  # jitter
            self._refuse(
                UnavailableError(
                    "The portal has as many connections as it can hold.", retry_after_seconds=wait
                )
            )
            return
        self._watch = self.loop.call_later(HEAD_SECONDS, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._watch is not None:
            self._watch.cancel()
        super().connection_lost(exc)

    def _latest(self) -> RequestResponseCycle | None:
        """The latest request and its response; None before the first."""
        return self.cycle

    def _make_room(self) -> bool:
        """Close some of the connections that serve nothing; False if there is none."""
        idle = [
            connection
            for connection in self.connections
            if isinstance(connection, Protocol)
            and not connection._is_answering()
            and not connection.transport.is_closing()
        ]
        oldest = heapq.nsmallest(_ROOM_AT_ONCE, idle, key=lambda connection: connection._began)
        for connection in oldest:
            connection.transport.close()
        return bool(oldest)

    def _is_answering(self) -> bool:
        latest = self._latest()
        return latest is not None and not latest.response_complete

    def _look(self) -> None:
        """Close a connection that has been serving nothing for a while."""
        if self.transport.is_closing():
            return
        if self._is_answering() or self.loop.time() - self._began < HEAD_SECONDS:
            self._watch = self.loop.call_later(HEAD_SECONDS, self._look)
        elif self._open_head:
            self._refuse(HeadTimeoutError(f"Send the head within {HEAD_SECONDS:.0f} seconds."))
        else:
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Take what came: by its known head, or through the parser and within its bounds."""
        self._unset_keepalive_if_required()
        head = b""
        if self._is_between:
            head = data[: data.find(_HEAD_END, 0, _MAX_KNOWN_BYTES) + len(_HEAD_END)]
            known = self._known.get(head)
            if known is not None and self._is_taken(known, data, len(head)):
                return
        open_before = self._open_head
        if not self._is_fed(data):
            return
        if self._call is not None:
            self._hand_over(self._call)
        if self._head is not None:
            if self._head.length == len(data) - len(head):
                self._remember(head, self._head)
            self._head = None
        if self._open_head:
            if self._open_head == open_before:
                self._surplus_bytes += len(data)
            if self._surplus_bytes > MAX_HEAD_BYTES:
                self._refuse(HeadTooLargeError("Address and headers may have 64 KiB together."))
        elif (latest := self._latest()) is not None and latest.response_complete:
            self._surplus_bytes += len(data)
            if self._surplus_bytes > MAX_READ_PAST_BYTES:
                self.transport.close()

    def _is_fed(self, data: bytes) -> bool:
        """Whether the parser takes it; else the connection is closed."""
        while data:
            try:
                self.parser.feed_data(data)
                break
            except httptools.HttpParserUpgrade as stop:
                data = self._without_offer(data[stop.args[0] :])
            except httptools.HttpParserError:
                self.send_400_response("")
                return False
        return True

    def _is_taken(self, known: ShortHead, data: bytes, start: int) -> bool:
        """Take a request whose head is known, if it is here whole and the next to be answered."""
        if (
            len(data) - start != known.length
            or self._is_answering()
            or self._is_ending
            or self.transport.is_closing()
        ):
            return False
        self._began = self.loop.time()
        try:
            call = known.enter()
        except RefusedError as error:
            self._reply(self._short_cycle(is_complete=True), error.reply)
            return True
        if call is None:
            return False
        if isinstance(call, Written):
            self._write(call.head, call.body)
            self.server_state.total_requests += 1
            return True
        if not call.is_short:  # the application reads what the parser has read
            self._entered = call
            return False
        self._take(call, data[start:])
        return True

    def _remember(self, head: bytes, what: ShortHead) -> None:
        if head.endswith(_HEAD_END):
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            self._known[head] = what

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_between = False
        self._n_messages += 1
        self._open_head = self._n_messages
        self._surplus_bytes = 0
        self._began = self.loop.time()

    def on_headers_complete(self) -> None:
        self._open_head = 0
        if self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
            self._offers_upgrade = True
            return
        if self.short_road is None or not self._is_on_short_road(self.short_road):
            self._start()

    def _start(self) -> None:
        """Let the application answer."""
        super().on_headers_complete()
        if not self.cycle.keep_alive:
            self.cycle.transport = _LastResponse(self)

    def _is_on_short_road(self, road: ShortRoad) -> bool:
        """Try the short road with the head that was just read."""
        entered, self._entered = self._entered, None
        if entered is not None:
            self._hand_over(entered)
            return True
        if self._is_answering():
            return False
        parser = self.parser
        if (
            parser.get_method() != b"POST"
            or not parser.should_keep_alive()
            or parser.get_http_version() != "1.1"
        ):
            return False
        path, _, query = self.url.partition(b"?")
        head: ShortHead | None = None
        try:
            head = road.read(path, query, self.headers)
            call = head.enter() if head is not None else None
        except RefusedError as error:
            self._head = head
            self._reply(self._short_cycle(is_complete=False), error.reply)
            return True
        if call is None:
            return False
        self._head = head
        if isinstance(call, Written):
            self._say(self._short_cycle(is_complete=False), call)
            return True
        self._call = call
        if not call.is_short:
            self._hand_over(call)
        return True

    def _short_cycle(self, *, is_complete: bool) -> _ShortCycle:
        cycle = _ShortCycle(is_complete=is_complete)
        self.cycle = cycle  # type: ignore[assignment]  # has what is asked of it
        return cycle

    def _hand_over(self, call: ShortCall) -> None:
        """Let the application go on with a call and what has come of its body."""
        assert self.short_road is not None
        parts, self._call, self._parts = self._parts, None, []
        self.scope[self.short_road.SCOPE_KEY] = call  # type: ignore[literal-required]
        self._start()
        for part in parts:
            super().on_body(part)

    def on_body(self, body: bytes) -> None:
        if self._call is None:
            super().on_body(body)
        else:
            self._parts.append(body)

    def on_message_complete(self) -> None:
        self._is_between = True
        if self._call is not None:
            call, parts = self._call, self._parts
            self._call, self._parts = None, []
            self._take(call, parts[0] if len(parts) == 1 else b"".join(parts))
        elif self._is_ending:
            self.transport.close()
        elif not self._offers_upgrade:
            super().on_message_complete()

    def _take(self, call: ShortCall, body: bytes) -> None:
        cycle = self._short_cycle(is_complete=True)
        call.take(body, lambda reply: self._reply(cycle, reply))

    def _reply(self, cycle: _ShortCycle, reply: ShortReply) -> None:
        """Write the answer of the short road."""
        cycle.response_complete = True
        if cycle.disconnected or self.transport.is_closing():
            return
        try:
            said = written(reply)
        except ValueError as error:
            logger.error("%s", error)
            self.transport.close()
            return
        self._say(cycle, said, is_last=reply.headers.get("Connection") == "close")

    def _say(self, cycle: _ShortCycle, said: Written, *, is_last: bool = False) -> None:
        """End a request of the short road, and the connection if that is due."""
        cycle.response_complete = True
        head = said.head
        if not cycle.keep_alive:
            head += b"connection: close\r\n"
        elif is_last:
            cycle.keep_alive = False
        self._write(head, said.body)
        if not cycle.keep_alive:
            self.transport.close()
        elif self.pipeline:
            self.on_response_complete()
        else:
            # As uvicorn does, but for a timer: `_look` closes what has been idle for long.
            self.server_state.total_requests += 1
            self.flow.resume_reading()

    def _write(self, head: bytes, body: bytes) -> None:
        said = b"%b%b\r\n" % (head, _lines_of(self.server_state.default_headers))
        if is_armed():
            self.transport.write(said)
            failpoint("ingest.after_answer_head")
            self.transport.write(body)
        else:
            # Each write is a packet, for which the client wakes up.
            self.transport.write(said + body)

    def end(self) -> None:
        """Close, at once or when the rest of the body has come; `_look` bounds the wait."""
        if self.cycle.more_body and not self.transport.is_closing():
            self._is_ending = True
            self._began = self.loop.time()
            self.transport.write_eof()
        else:
            self.transport.close()

    def _without_offer(self, rest: bytes) -> bytes:
        """The request whose head was just read, without its offer to upgrade, for a new parser."""
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
        for name, value in self.headers:
            if name == b"connection":
                options = [option.strip() for option in value.lower().split(b",")]
                kept = b", ".join(option for option in options if option not in _OF_UPGRADES)
                lines.append(b"connection: " + kept)
            elif name not in _OF_UPGRADES:
                lines.append(b"%b: %b" % (name, value))
        self._offers_upgrade = False
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return b"\r\n".join([*lines, b"", rest])

    def send_400_response(self, msg: str) -> None:
        self._refuse(BadRequestError("This is no request in HTTP/1.1.", code="malformed_http"))

    def _refuse(self, error: PortalError) -> None:
        """Answer without any application, and close."""
        # Django is ready only once the application has been loaded.
        from portal.http.problem import MEDIA_TYPE, document  # noqa: PLC0415

        request_id = str(uuid7())
        body = json.dumps(document(error, request_id=request_id)).encode()
        fields = [
            *self.server_state.default_headers,
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", b"%d" % len(body)),
            (b"x-request-id", request_id.encode()),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
            (b"connection", b"close"),
            *[(name.lower().encode(), value.encode()) for name, value in error.headers.items()],
        ]
        status = HTTPStatus(error.status)
        head = [b"HTTP/1.1 %d %b" % (status, status.phrase.encode())]
        head += [b"%b: %b" % field for field in fields]
        self.transport.write(b"\r\n".join([*head, b"", body]))
        self.transport.close()
