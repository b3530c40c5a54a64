"""Plain groups written from the event loop itself, without a thread.

Most groups are one exchange with PostgreSQL (`ingest.log.exchange`), in which a process only waits. Made
by the writer's thread, each costs two threads their turns at the interpreter's lock and the loop a
call from outside. So the loop makes them: what its requests submitted in one round, and while the
previous group was under way, is the next group. Whatever is more than one exchange, or does not end
well, goes to the writer's thread (`ingest.log.store`), which has the long ways and the retries.

The loop is told by its poller when the server has answered. While it waits it also looks for itself
now and then: libpq closes its socket when the server dies, its number is another connection's in the
next moment, and once in five hundred kills the poller then watched neither.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import psycopg
from psycopg import errors as pg
from psycopg.abc import PQGen
from psycopg.waiting import Ready, Wait

from ingest.log import exchange, wire
from ingest.log.connection import Connection, connect
from ingest.log.group import COPY_EVENTS, Submission, plain_rows
from ingest.log.latencies import latencies
from portal.kernel.errors import PortalError
from portal.kernel.failpoints import is_armed

logger = logging.getLogger(__name__)

MAX_GROUP_ROWS: Final = 2000
_RECONNECT_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 0.1
# A loop that ends after a request or two gets no connection of its own.
_GROUPS_WORTH_ONE: Final = 3


class Desk(Protocol):
    """The writer behind a loop writer, which is told how groups end."""

    @property
    def hopes(self) -> bool:
        """Whether conflicts are rare enough for a try."""

    def take_over(self, group: Sequence[Submission]) -> None:
        """Write a group that is counted already, in whatever way it takes."""

    def settle(self, group: Sequence[Submission], error: PortalError | None) -> None:
        """The group has ended: count it off and wake its waiters."""

    def unknown(self, error: psycopg.Error) -> PortalError:
        """What a group ends with whose outcome nobody knows."""

    def note_conflict(self, had_conflict: bool) -> None: ...


def take_group(queue: deque[Submission]) -> list[Submission]:
    """Take what shares the next transaction: up to 2,000 rows; a rehearsal or a larger submission
    stands alone."""
    group: list[Submission] = []
    size = 0
    while queue:
        upcoming = queue[0]
        alone = upcoming.is_rehearsal
        if group and (alone or size + len(upcoming.items) > MAX_GROUP_ROWS):
            break
        group.append(queue.popleft())
        size += len(upcoming.items)
        if alone:
            break
    return group


class LoopWriter:
    """The groups of one event loop, one after the other. All of it is called from that loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, desk: Desk) -> None:
        self.loop = loop
        self._desk = desk
        self._queue: deque[Submission] = deque()
        self._to_call: list[Callable[[], None]] = []
        self._is_going = False
        self._is_closed = False
        self._connection: Connection | None = None
        self._socket = -1  # libpq forgets its number, and closes it, when the server is gone
        self._connecting: asyncio.Future[Connection] | None = None
        self._connected_at = 0.0
        self._group: list[Submission] = []
        self._exchange: PQGen[None] | None = None
        self._began_ns = 0
        self._is_writing = False  # the socket is watched for room too
        self._looking: asyncio.TimerHandle | None = None
        self._steps = self._seen_at = 0  # of exchanges; at which of them a look found news
        self._groups = 0

    @property
    def is_idle(self) -> bool:
        return not self._is_going

    def add(self, submission: Submission) -> None:
        """Queue a submission, never waiting; its waiter is told after the commit."""
        self._queue.append(submission)
        if not self._is_going:
            self._is_going = True
            # After whatever else this round of the loop brings.
            self.loop.call_soon(self._next)

    def when_free(self, call: Callable[[], None]) -> None:
        """Call when the group that is under way has ended, before the next is taken; if there is
        none, in the next round of the loop. What is called may `add`."""
        if self._exchange is None:
            self.loop.call_soon(call)
        else:
            self._to_call.append(call)

    def close(self) -> None:
        """Let the connection go; what comes later goes to the thread."""
        self._is_closed = True
        if self._exchange is None:
            self._drop()

    def _next(self) -> None:
        group = take_group(self._queue)
        if not group:
            self._is_going = False
            return
        self._groups += 1
        connection = self._usable()
        if connection is not None and exchange.has_news(connection):  # nothing is due: it ends
            self._drop()
            connection = None
        try:
            # Faults that a test has armed strike between the statements of the long way.
            may_try = connection is not None and self._desk.hopes and not is_armed()
            plain = plain_rows(group) if may_try else None
            begun = plain and connection and exchange.begin(connection, COPY_EVENTS, *plain)
        except psycopg.Error:
            self._drop()
            begun = None
        except Exception:  # the thread meets it too, and tells its neighbours from it
            logger.exception("a group could not be looked at")
            begun = None
        if not begun:
            self._desk.take_over(group)
            self.loop.call_soon(self._next)
            return
        self._group, self._exchange, self._began_ns = group, begun, time.time_ns()
        if self._looking is None:
            self._looking = self.loop.call_later(_LOOK_SECONDS, self._look)
        self._go_on(None)

    def _go_on(self, ready: Ready | None) -> None:
        assert self._exchange is not None
        self._steps += 1
        try:
            wait = self._exchange.send(ready)  # type: ignore[arg-type]  # None starts it
            if wait == Wait.W:  # mostly there is room at once
                wait = self._exchange.send(Ready.W)
        except StopIteration:
            self._ended(None)
        except psycopg.Error as error:
            self._ended(error)
        except Exception as error:  # a bug; whether the rows are stored is not known
            logger.exception("ingest failed unexpectedly")
            self._ended(wire.UnknownOutcomeError(str(error)))
        else:
            self._watch_for_room(is_wanted=bool(wait & Wait.W))

    def _ended(self, error: psycopg.Error | None) -> None:
        group, self._group, self._exchange = self._group, [], None
        self._watch_for_room(is_wanted=False)
        if error is None:
            ended_ns = time.time_ns()
            self._desk.note_conflict(False)
            self._desk.settle(group, None)
            latencies().note(group, self._began_ns, ended_ns)
        else:
            self._failed(group, error)
        if self._is_closed:
            self._drop()
        to_call, self._to_call = self._to_call, []
        for call in to_call:
            try:
                call()
            except Exception:  # the groups go on
                logger.exception("what waited for a group could not go on")
        self._next()

    def _failed(self, group: list[Submission], error: psycopg.Error) -> None:
        if isinstance(error, wire.UnknownOutcomeError):
            self._drop()
            self._desk.settle(group, self._desk.unknown(error))
            return
        if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
            self._drop()
        for submission in group:
            submission.is_known = isinstance(error, pg.UniqueViolation)
        self._desk.take_over(group)

    def _look(self) -> None:
        """Go on with an answer that has come and that nobody told of."""
        self._looking = None
        connection = self._connection
        if self._exchange is None or connection is None:
            return
        self._looking = self.loop.call_later(_LOOK_SECONDS, self._look)
        if not exchange.has_news(connection):
            return
        if self._seen_at != self._steps:  # the poller comes round to it before the next look
            self._seen_at = self._steps
            return
        logger.warning("PostgreSQL had answered, and the poller did not tell")
        self._watch(connection)
        self._go_on(Ready.R)

    def _watch(self, connection: Connection) -> None:
        """Have the poller watch a connection's socket, whatever it watched before."""
        if self._socket >= 0:
            self.loop.remove_reader(self._socket)
        self._socket = connection.fileno()
        self.loop.add_reader(self._socket, self._readable)

    def _usable(self) -> Connection | None:
        if self._connection is None and not self._is_closed and self._groups >= _GROUPS_WORTH_ONE:
            self._connect()
        return self._connection

    def _connect(self) -> None:
        """Connect in a thread; the groups until then are the writer's."""
        now = self.loop.time()
        if self._connecting is not None or now - self._connected_at < _RECONNECT_SECONDS:
            return
        self._connected_at = now
        self._connecting = self.loop.run_in_executor(None, _connected)
        self._connecting.add_done_callback(self._have_connected)

    def _have_connected(self, future: "asyncio.Future[Connection]") -> None:
        self._connecting = None
        if future.cancelled() or isinstance(future.exception(), psycopg.Error):
            return  # the thread meets the same, and says so
        connection = future.result()
        if self._is_closed:
            connection.close()
            return
        self._connection = connection
        self._watch(connection)

    def _readable(self) -> None:
        if self._exchange is not None:
            self._go_on(Ready.R)
            return
        self._drop()  # nothing is due: the server ends, or says that it is about to

    def _watch_for_room(self, *, is_wanted: bool) -> None:
        if is_wanted == self._is_writing or self._connection is None:
            return
        self._is_writing = is_wanted
        if is_wanted:
            self.loop.add_writer(self._socket, self._go_on, Ready.W)
        else:
            self.loop.remove_writer(self._socket)

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if not self.loop.is_closed():
            self.loop.remove_reader(self._socket)
            self.loop.remove_writer(self._socket)
        self._socket, self._is_writing = -1, False
        connection.close()


def _connected() -> Connection:
    connection = connect()
    exchange.prepare(connection)
    return connection
