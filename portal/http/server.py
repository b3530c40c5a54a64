"""The HTTP/1.1 protocol of the web processes: uvicorn's, with limits and errors of our own.

1. What is no HTTP is refused with a problem document, like everything else.
2. The head of a request has a size and a time, and a connection that serves nothing is closed. The
   parser knows no bounds: an endless head would fill the memory before any code of ours runs.
3. An offer to upgrade (Java's client sends `Upgrade: h2c` with every first request) is declined by
   answering in HTTP/1.1. The parser would drop the body of such a request; it reads it again here
   without the offer.
4. What still comes of a body that was answered early is read past, up to a bound, also when the
   connection ends with it: closed upon a client that is still sending, it takes the answer along.

Nothing here runs per header or per event; a request costs a few comparisons more.
"""

import asyncio
import json
from asyncio.events import TimerHandle
from http import HTTPStatus
from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from portal.kernel.errors import BadRequestError, PortalError
from portal.kernel.identifiers import uuid7

MAX_HEAD_BYTES: Final = 64 * 1024
MAX_READ_PAST_BYTES: Final = 32 * 1024 * 1024
HEAD_SECONDS: Final = 20.0
_OF_UPGRADES: Final = frozenset({b"upgrade", b"http2-settings"})


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


class Protocol(HttpToolsProtocol):
    """One connection of a client."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._n_messages = 0
        self._open_head = 0  # the number of the message whose head is coming in, or 0
        self._offers_upgrade = False
        self._is_ending = False
        self._surplus_bytes = 0  # of an open head beyond its first piece, or of a body read past
        self._began = self.loop.time()
        self._watch: TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._watch = self.loop.call_later(HEAD_SECONDS, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._watch is not None:
            self._watch.cancel()
        super().connection_lost(exc)

    def _latest(self) -> RequestResponseCycle | None:
        """The latest request and its response; None before the first."""
        return self.cycle

    def _look(self) -> None:
        """Close a connection that has been serving nothing for a while."""
        if self.transport.is_closing():
            return
        latest = self._latest()
        is_answering = latest is not None and not latest.response_complete
        if is_answering or self.loop.time() - self._began < HEAD_SECONDS:
            self._watch = self.loop.call_later(HEAD_SECONDS, self._look)
        elif self._open_head:
            self._refuse(HeadTimeoutError(f"Send the head within {HEAD_SECONDS:.0f} seconds."))
        else:
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        open_before = self._open_head
        while data:
            try:
                self.parser.feed_data(data)
                break
            except httptools.HttpParserUpgrade as stop:
                data = self._without_offer(data[stop.args[0] :])
            except httptools.HttpParserError:
                self.send_400_response("")
                return
        if self._open_head:
            if self._open_head == open_before:
                self._surplus_bytes += len(data)
            if self._surplus_bytes > MAX_HEAD_BYTES:
                self._refuse(HeadTooLargeError("Address and headers may have 64 KiB together."))
        elif (latest := self._latest()) is not None and latest.response_complete:
            self._surplus_bytes += len(data)
            if self._surplus_bytes > MAX_READ_PAST_BYTES:
                self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._n_messages += 1
        self._open_head = self._n_messages
        self._surplus_bytes = 0
        self._began = self.loop.time()

    def on_headers_complete(self) -> None:
        self._open_head = 0
        if self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
            self._offers_upgrade = True
            return
        super().on_headers_complete()
        if not self.cycle.keep_alive:
            self.cycle.transport = _LastResponse(self)

    def on_message_complete(self) -> None:
        if self._is_ending:
            self.transport.close()
        elif not self._offers_upgrade:
            super().on_message_complete()

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
        ]
        status = HTTPStatus(error.status)
        head = [b"HTTP/1.1 %d %b" % (status, status.phrase.encode())]
        head += [b"%b: %b" % field for field in fields]
        self.transport.write(b"\r\n".join([*head, b"", body]))
        self.transport.close()
