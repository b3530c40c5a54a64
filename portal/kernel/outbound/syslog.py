"""Messages to a syslog receiver that the operator named: udp:// (RFC 5426), tcp:// (RFC 6587, octet
counting) and tls:// (RFC 5425).

Syslog has no answer, so over TCP and TLS the end of the connection is taken for one: we say that
nothing more comes, and wait for the receiver to end in order. Who closes with bytes unread resets
the connection instead, which is a failure. Over UDP a message counts as taken once it has left.
"""

import select
import socket
import ssl
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

from portal.kernel.outbound.addresses import Address
from portal.kernel.outbound.answers import USUAL, Limits
from portal.kernel.outbound.errors import BlockedError, FailedError, RuleBrokenError
from portal.kernel.outbound.rules import (
    INNER,
    Resolve,
    Rules,
    addresses_of,
    resolve_by_system,
)
from portal.kernel.outbound.targets import Target, read_target

SCHEMES: Final = ("udp", "tcp", "tls")
# A datagram holds 65,507 bytes; what is longer cannot be sent over UDP.
LONGEST_DATAGRAM: Final = 60_000
_RULES: Final = Rules(schemes=frozenset(SCHEMES), ports=None, without=INNER)
_REFUSAL_SECONDS: Final = 0.05
_LEAST_SECONDS: Final = 0.001


def read_syslog(url: str) -> Target:
    """Read `udp|tcp|tls://host:port`. Raises RuleBrokenError: `scheme`, `port` when there is none,
    `host` when something follows, and what `read_target` finds."""
    scheme, _, place = url.partition("://")
    if scheme not in SCHEMES:
        raise RuleBrokenError("scheme")
    read = read_target(f"https://{place}")
    if read.path != "/":
        raise RuleBrokenError("host")
    if urlsplit(f"https://{place}").port is None:
        raise RuleBrokenError("port")
    return Target(scheme, read.host, read.port, "", read.literal)


def send_messages(
    target: Target,
    messages: Sequence[bytes],
    *,
    limits: Limits = USUAL,
    resolve: Resolve = resolve_by_system,
) -> None:
    """Send messages in their order, and come back when the receiver took them all.

    Raises BlockedError when a rule is against the target (nothing was sent), FailedError when it is
    not certain that all were taken.
    """
    until = time.monotonic() + limits.total_seconds
    try:
        addresses = addresses_of(target, _RULES, resolve)
    except RuleBrokenError as error:
        raise BlockedError(error.rule) from error
    try:
        if target.scheme == "udp":
            _send_datagrams(addresses[0], target.port, messages)
            return
        with _connected(addresses, target.port, limits.connect_seconds) as link:
            if target.scheme == "tcp":
                _write(link, messages, until)
                link.shutdown(socket.SHUT_WR)
                _await_end(link, until)
            else:
                _write_secured(link, target.host, messages, until)
    except TimeoutError as error:
        raise FailedError("timeout") from error
    except ssl.SSLError as error:
        raise FailedError("tls") from error
    except OSError as error:
        raise FailedError("unreachable") from error


def _send_datagrams(address: Address, port: int, messages: Sequence[bytes]) -> None:
    """One message a datagram. Whether nobody listens there is told by some systems, a little later."""
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as link:
        link.connect((str(address), port))
        for message in messages:
            link.send(message)
        poll = select.poll()
        poll.register(link, select.POLLERR)
        if poll.poll(_REFUSAL_SECONDS * 1000):
            raise FailedError("unreachable")


def _connected(addresses: Sequence[Address], port: int, seconds: float) -> socket.socket:
    """A connection to the first of the addresses that takes one."""
    for address in addresses:
        with suppress(OSError):
            return socket.create_connection((str(address), port), seconds)
    raise FailedError("unreachable")


def _write_secured(link: socket.socket, host: str, messages: Sequence[bytes], until: float) -> None:
    """The same in TLS. The receiver's end is a close_notify, or that of the connection, in order."""
    from portal.kernel.outbound.client import tls_context  # noqa: PLC0415  # as in `session`

    link.settimeout(_left(until))
    with tls_context().wrap_socket(link, server_hostname=host) as secured:
        _write(secured, messages, until)
        secured.settimeout(_left(until))
        try:
            secured.unwrap()
        except ssl.SSLEOFError:
            return  # it read to our end and closed without a word; a reset is another error
        except OSError as error:
            if error.errno != 0:  # which is Python's other word for the same
                raise


def _write(link: socket.socket, messages: Sequence[bytes], until: float) -> None:
    """Every message with its length before it (RFC 6587 §3.4.1)."""
    view = memoryview(b"".join(b"%d %s" % (len(message), message) for message in messages))
    while view:
        link.settimeout(_left(until))
        view = view[link.send(view) :]


def _await_end(link: socket.socket, until: float) -> None:
    while True:
        link.settimeout(_left(until))
        if not link.recv(4096):
            return


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left < _LEAST_SECONDS:
        raise TimeoutError
    return left
