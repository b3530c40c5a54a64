"""The event loop of the web processes: uvloop's, which takes no more connections than its siblings.

Web processes share a listening socket, and whoever wakes first takes all that waits there. A client
with eight connections, or the few that a proxy keeps, then often meets one process, and the other
core has nothing to do (docs/decisions/0026). So:

1. One connection is taken in a round of the loop, never all that wait.
2. Each process says in a page of shared memory how many connections it has. One that has more than
   the least of its siblings leaves what comes to them, for `PATIENCE_SECONDS`: a sibling may be
   busy, or stopped, and nobody shall wait for that.
3. What a process says counts for as long as it says it again (`BEAT_SECONDS`).
"""

import asyncio
import errno
import fcntl
import logging
import mmap
import os
import socket
import struct
import tempfile
import time
from asyncio.events import TimerHandle
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import uvloop

logger = logging.getLogger(__name__)

PATIENCE_SECONDS: Final = 0.02
LOOK_SECONDS: Final = 0.002
BEAT_SECONDS: Final = 0.25
_BEATS_MISSED: Final = 4
_OUT_OF_FILES_SECONDS: Final = 1.0
_OUT_OF_FILES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
# When a process last said how many connections it has (seconds of the monotonic clock, which is the
# machine's), its number, and how many.
_SLOT: Final = struct.Struct("=dqq")
_SLOTS: Final = 128


class Board:
    """What the processes of one listening socket say of themselves, each in a slot of its own."""

    def __init__(self, listener: socket.socket) -> None:
        # The socket's number in the kernel is the same for all who share it, and nobody else's.
        number = os.fstat(listener.fileno()).st_ino
        self.place = Path(tempfile.gettempdir()) / f"portal-{os.getuid()}-{number}.connections"
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self.place, flags, 0o600)
        try:
            if os.fstat(descriptor).st_uid != os.getuid():
                raise PermissionError(f"{self.place} is somebody else's")
            fcntl.lockf(descriptor, fcntl.LOCK_EX)
            os.ftruncate(descriptor, _SLOT.size * _SLOTS)
            self._memory = mmap.mmap(descriptor, _SLOT.size * _SLOTS)
            self._at = self._free_slot()
            self.say(0)
        finally:
            os.close(descriptor)  # which unlocks it too

    def say(self, count: int) -> None:
        """Say how many connections this process has now."""
        _SLOT.pack_into(self._memory, self._at, time.monotonic(), os.getpid(), count)

    def least_of_others(self) -> int | None:
        """The fewest connections that a sibling has; None without siblings."""
        since = time.monotonic() - BEAT_SECONDS * _BEATS_MISSED
        return min(
            (
                count
                for at, (said, pid, count) in self._slots()
                if said >= since and pid and at != self._at
            ),
            default=None,
        )

    def close(self) -> None:
        """Leave it; the last one takes it away. One that is silent may only be stopped."""
        if not any(pid and at != self._at and _lives(pid) for at, (_, pid, _) in self._slots()):
            self.place.unlink(missing_ok=True)
        _SLOT.pack_into(self._memory, self._at, 0.0, 0, 0)
        self._memory.close()

    def _slots(self) -> list[tuple[int, tuple[float, int, int]]]:
        return [
            (number * _SLOT.size, slot)
            for number, slot in enumerate(_SLOT.iter_unpack(self._memory[:]))
        ]

    def _free_slot(self) -> int:
        """The place of a slot that nobody has spoken in for long: of the longest silence."""
        at, _ = min(self._slots(), key=lambda slot: slot[1][0])
        return at


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's got the number
        return True
    return True


class Acceptor:
    """Takes connections from a listening socket. Has what uvicorn asks of an asyncio server."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, make: Callable[[], Any], listener: socket.socket
    ) -> None:
        self.sockets = (listener,)
        self._loop, self._make, self._listener = loop, make, listener
        self._board = Board(listener)
        self._connections: set[Any] = set()  # the protocols of all of them, once there is one
        self._tasks: set[asyncio.Task[None]] = set()
        self._left_until = 0.0
        self._timer: TimerHandle | None = None
        self._is_closed = False
        self._beat_timer = loop.call_later(BEAT_SECONDS, self._beat)
        loop.add_reader(listener, self._ready)

    @property
    def count(self) -> int:
        """How many connections it has, with those that are just being taken."""
        return len(self._connections) + len(self._tasks)

    def is_serving(self) -> bool:
        return not self._is_closed

    def close(self) -> None:
        """Take no more connections; those that it has go on. Again changes nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        self._loop.remove_reader(self._listener)
        self._beat_timer.cancel()
        if self._timer is not None:
            self._timer.cancel()
        self._listener.close()
        self._board.close()

    async def wait_closed(self) -> None:
        """Wait until the connections that are just being taken have their protocols."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _beat(self) -> None:
        self._board.say(self.count)
        self._beat_timer = self._loop.call_later(BEAT_SECONDS, self._beat)

    def _has_more(self) -> bool:
        least = self._board.least_of_others()
        return least is not None and self.count > least

    def _ready(self) -> None:
        if self._has_more():
            self._left_until = self._loop.time() + PATIENCE_SECONDS
            self._pause(LOOK_SECONDS, self._look)
        else:
            self._take()

    def _look(self) -> None:
        """Whether a sibling has caught up, or has been waited for long enough."""
        has_more = self._has_more()
        if has_more and self._loop.time() < self._left_until:
            self._timer = self._loop.call_later(LOOK_SECONDS, self._look)
            return
        self._resume()
        if has_more:
            self._take()

    def _pause(self, seconds: float, then: Callable[[], None]) -> None:
        self._loop.remove_reader(self._listener)
        self._timer = self._loop.call_later(seconds, then)

    def _resume(self) -> None:
        self._timer = None
        self._loop.add_reader(self._listener, self._ready)

    def _take(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # a sibling was faster, or the client is gone
        except OSError as error:
            if error.errno not in _OUT_OF_FILES:
                raise
            logger.error("no connection can be taken: %s", os.strerror(error.errno or 0))
            self._pause(_OUT_OF_FILES_SECONDS, self._resume)
            return
        connection.setblocking(False)
        task = self._loop.create_task(self._serve(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._board.say(self.count)

    async def _serve(self, connection: socket.socket) -> None:
        try:
            _, protocol = await self._loop.connect_accepted_socket(self._make, connection)
        finally:
            # Its descriptor is the transport's, which may be closed already: closed once more by
            # this object, it would be another one's by then.
            connection.detach()
        self._connections = protocol.connections


class Loop(uvloop.Loop):
    """uvloop's loop, whose servers on a given socket are `Acceptor`s of protocols like uvicorn's."""

    async def create_server(
        self,
        protocol_factory: Callable[[], Any],
        host: Any = None,
        port: Any = None,
        **options: Any,
    ) -> Any:
        """An `Acceptor` on a given socket without TLS; for all else uvloop's own server."""
        listener: socket.socket | None = options.get("sock")
        if listener is None or options.get("ssl") is not None:
            return await super().create_server(protocol_factory, host, port, **options)
        listener.setblocking(False)
        listener.listen(options.get("backlog") or 100)
        return Acceptor(self, protocol_factory, listener)
