"""A client that costs little: prebuilt requests over keep-alive connections, in a process of its own.

It shares the two cores with the server it measures, so each microsecond of it would count as the
server's. Reads only the status and the counts of an answer.
"""

import multiprocessing
import re
import selectors
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Final

_ACCEPTED: Final = re.compile(rb'"accepted": ?([0-9]+)')
_LENGTH: Final = re.compile(rb"content-length: ?([0-9]+)", re.IGNORECASE)
_CPU_TICKS: Final = 100


@dataclass(frozen=True, slots=True)
class Figures:
    """What a run gave: events accepted, seconds, and each answer's delay in milliseconds, sorted."""

    accepted: int
    seconds: float
    delays_ms: Sequence[float]

    @property
    def rate(self) -> float:
        return self.accepted / self.seconds

    def percentile(self, share: float) -> float:
        return self.delays_ms[min(len(self.delays_ms) - 1, int(len(self.delays_ms) * share))]


def request(path: str, key: str, media: str, body: bytes) -> bytes:
    """The bytes of one POST."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: {media}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body


def drive(host: str, queues: Sequence[Sequence[bytes]], seconds: float) -> Figures:
    """Send each queue over a connection of its own, every request after the answer before it.

    Ends when the time is over or a queue is empty. Raises RuntimeError for any answer but 202.
    """
    receiver, sender = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(
        target=_run, args=(host, queues, seconds, sender)
    )
    child.start()
    outcome = receiver.recv()
    child.join()
    if isinstance(outcome, str):
        raise RuntimeError(outcome)
    return Figures(*outcome)


class _Line:
    """One connection: what it has sent and what it has read of the answer."""

    def __init__(self, host: str, queue: Sequence[bytes]) -> None:
        name, _, port = host.partition(":")
        self.socket = socket.create_connection((name, int(port)))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.queue = iter(queue)
        self.answer = b""
        self.sent_at = 0.0

    def send(self) -> bool:
        body = next(self.queue, None)
        if body is None:
            return False
        self.answer = b""
        self.sent_at = time.perf_counter()
        self.socket.sendall(body)
        return True

    def read(self) -> bool:
        """Whether the answer is complete."""
        part = self.socket.recv(262_144)
        if not part:
            raise RuntimeError(f"the connection was closed after {self.answer[:500]!r}")
        self.answer += part
        head, gap, rest = self.answer.partition(b"\r\n\r\n")
        found = _LENGTH.search(head) if gap else None
        return found is not None and len(rest) >= int(found[1])


def _run(host: str, queues: Sequence[Sequence[bytes]], seconds: float, out: Connection) -> None:
    try:
        out.send(_measure(host, queues, seconds))
    except (OSError, RuntimeError) as error:
        out.send(f"{type(error).__name__}: {error}")


def _measure(
    host: str, queues: Sequence[Sequence[bytes]], seconds: float
) -> tuple[int, float, list[float]]:
    selector = selectors.DefaultSelector()
    for queue in queues:
        opened = _Line(host, queue)
        selector.register(opened.socket, selectors.EVENT_READ, opened)
    accepted, delays = 0, []
    began = last = time.perf_counter()
    for key in list(selector.get_map().values()):
        key.data.send()
    open_lines, is_over = len(queues), False
    while open_lines:
        for key, _ in selector.select():
            line: _Line = key.data
            if not line.read():
                continue
            last = time.perf_counter()
            if b" 202 " not in line.answer[:20]:
                raise RuntimeError(line.answer[:2000].decode("latin-1"))
            delays.append((last - line.sent_at) * 1000)
            found = _ACCEPTED.search(line.answer)
            accepted += int(found[1]) if found else 0
            is_over = is_over or last - began >= seconds
            if is_over or not line.send():
                is_over = True
                selector.unregister(line.socket)
                line.socket.close()
                open_lines -= 1
    return accepted, last - began, sorted(delays)


def cpu_seconds(pids: Sequence[int]) -> float:
    """Processor time that processes have used so far, in seconds; of those that ended, nothing.

    A backend of PostgreSQL may end between being listed and being asked.
    """
    ticks = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii") as file:  # noqa: PTH123  # short-lived
                fields = file.read().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / _CPU_TICKS
