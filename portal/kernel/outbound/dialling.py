"""Connections to judged addresses only, each of their steps within one deadline."""

import select
import socket
import ssl
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, Final

import httpcore2

from portal.kernel.outbound.addresses import Address
from portal.kernel.outbound.errors import BlockedError, RuleBrokenError
from portal.kernel.outbound.rules import Resolve, Rules, addresses_of
from portal.kernel.outbound.targets import Target

_LEAST_SECONDS: Final = 0.001


class Attempt:
    """The request under way: where it goes and until when it may take."""

    def __init__(self) -> None:
        self.target: Target | None = None
        self.until = 0.0

    def begin(self, target: Target, seconds: float) -> None:
        self.target, self.until = target, time.monotonic() + seconds

    def left(self, timeout: float | None) -> float:
        """The seconds that a step may take. Raises httpcore2.ReadTimeout when none are left."""
        left = self.until - time.monotonic()
        if left < _LEAST_SECONDS:
            raise httpcore2.ReadTimeout("the whole took too long")
        return left if timeout is None else min(left, timeout)


class JudgingBackend(httpcore2.NetworkBackend):
    """Connects to what the present attempt's target resolves to, once that is judged.

    The name stays in the request: TLS and the Host header speak of it, the socket of the address.
    """

    def __init__(self, attempt: Attempt, rules: Rules, resolve: Resolve) -> None:
        self._attempt, self._rules, self._resolve = attempt, rules, resolve

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        target = self._attempt.target
        if target is None or (host.strip("[]"), port) != (target.host, target.port):
            raise BlockedError("host")  # the client and we read the address differently
        try:
            addresses = addresses_of(target, self._rules, self._resolve)
        except RuleBrokenError as error:
            raise BlockedError(error.rule) from error
        return _BoundStream(self._connected(addresses, port, timeout), self._attempt)

    def _connected(
        self, addresses: Sequence[Address], port: int, timeout: float | None
    ) -> socket.socket:
        """A connection to the first of the addresses that takes one."""
        until = time.monotonic() + self._attempt.left(timeout)
        for address in addresses:
            left = until - time.monotonic()
            if left < _LEAST_SECONDS:
                break
            with suppress(OSError):
                found = socket.create_connection((str(address), port), left)
                found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return found
        if time.monotonic() >= until - _LEAST_SECONDS:
            raise httpcore2.ConnectTimeout("no connection in time")
        raise httpcore2.ConnectError("no address took a connection")


class _BoundStream(httpcore2.NetworkStream):
    """A socket whose steps end with the attempt, however the other side drips."""

    def __init__(self, sock: socket.socket, attempt: Attempt) -> None:
        self._sock, self._attempt = sock, attempt

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self._sock.settimeout(self._attempt.left(timeout))
        try:
            return self._sock.recv(max_bytes)
        except TimeoutError as error:
            raise httpcore2.ReadTimeout("no answer in time") from error
        except OSError as error:
            raise httpcore2.ReadError("the connection broke") from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        view = memoryview(buffer)
        try:
            while view:
                self._sock.settimeout(self._attempt.left(timeout))
                view = view[self._sock.send(view) :]
        except TimeoutError as error:
            raise httpcore2.WriteTimeout("it took nothing in time") from error
        except OSError as error:
            raise httpcore2.WriteError("the connection broke") from error

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        try:
            self._sock.settimeout(self._attempt.left(timeout))
            secured = ssl_context.wrap_socket(self._sock, server_hostname=server_hostname)
        except TimeoutError as error:
            self.close()
            raise httpcore2.ConnectTimeout("no TLS in time") from error
        except OSError as error:  # SSLError is one
            self.close()
            raise httpcore2.ConnectError("no TLS") from error
        return _BoundStream(secured, self._attempt)

    def close(self) -> None:
        self._sock.close()

    def get_extra_info(self, info: str) -> Any:
        if info == "ssl_object" and isinstance(self._sock, ssl.SSLSocket):
            return self._sock
        if info == "is_readable":
            return _is_readable(self._sock)
        return None


def _is_readable(sock: socket.socket) -> bool:
    """Whether something came on a connection at rest: its end, mostly. It is not used again then."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
