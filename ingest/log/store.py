"""The writer: requests of one process share transactions, and are answered after their commit.

1. A request hands over its events as one submission, which is never split over transactions.
2. What has queued while the previous commit ran is the next group, up to 2,000 rows (a larger
   submission stands alone). There is no timer: an idle writer starts at once. A web process writes
   plain groups from its event loop (`ingest.log.loop_writer`), all else in one thread.
3. What a group writes stands in `ingest.log.group`. First it is tried on the hope that no identity is
   stored yet; on a unique violation it is done again the long way.
4. Only after COMMIT are the submissions finished. When the outcome of a commit is not known, they
   end with `UnavailableError`: a retry converges, as identities are unique.
"""

import asyncio
import logging
import os
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Final

import psycopg
from django.conf import settings
from psycopg import errors as pg

from ingest.log import exchange, partitions, wire
from ingest.log.connection import Connection, connect
from ingest.log.group import COPY_EVENTS, Submission, Waiter, plain_rows, write_group
from ingest.log.latencies import close_latencies, latencies
from ingest.log.loop_writer import LoopWriter, take_group
from ingest.times import moment_of
from portal.kernel.errors import BadRequestError, PortalError, UnavailableError
from portal.kernel.failpoints import failpoint, is_armed

logger = logging.getLogger(__name__)

_DAY_US: Final = 86_400_000_000
_MAX_TRIES: Final = 3
# Above this share of groups with a conflict the optimistic COPY costs more than it saves.
_CONFLICT_BOUND: Final = 0.25
_CONFLICT_MEMORY: Final = 0.1


class Writer:
    """What writes for one process. Submit from any thread or event loop."""

    def __init__(self, *, max_queued_events: int) -> None:
        self._max_queued = max_queued_events
        self._queue: deque[Submission] = deque()
        self._ready = threading.Condition()
        self._queued = 0
        self._closed = False
        self._connection: Connection | None = None
        self._conflicts = 0.0
        self._loop_writers: dict[asyncio.AbstractEventLoop, LoopWriter] = {}
        self._thread = threading.Thread(target=self._run, name="ingest-writer", daemon=True)
        self._thread.start()

    @property
    def is_full(self) -> bool:
        """Whether a request should be turned away before its body is read."""
        return self._queued >= self._max_queued

    @property
    def queued_events(self) -> int:
        """How many events wait for their commit."""
        return self._queued

    def submit(self, submission: Submission) -> "Future[None]":
        """Queue from a thread; the future is done after the commit."""
        future: Future[None] = Future()
        submission.waiter = future
        self.enqueue(submission)
        return future

    async def write(self, submission: Submission) -> None:
        """Queue from an event loop and wait for the commit."""
        submission.loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = submission.loop.create_future()
        submission.waiter = future
        self.enqueue(submission)
        await future

    def enqueue(self, submission: Submission) -> None:
        """Queue what has a waiter; from its loop, if it has one. Raises UnavailableError when too
        much waits already."""
        submission.queued_us = time.time_ns() // 1000
        loop = submission.loop
        with self._ready:
            if self._closed or self._queued > self._max_queued:
                raise UnavailableError(
                    "The portal has more to write than it can hold.",
                    retry_after_seconds=random.randint(1, 5),  # noqa: S311  # jitter
                )
            self._queued += len(submission.items)
            if loop is None:
                self._queue.append(submission)
                self._ready.notify()
        if loop is not None:
            self._loop_writer(loop).add(submission)

    def when_free(self, loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
        """From a loop: as `LoopWriter.when_free`."""
        self._loop_writer(loop).when_free(call)

    def _loop_writer(self, loop: asyncio.AbstractEventLoop) -> LoopWriter:
        found = self._loop_writers.get(loop)
        if found is None:
            for other in [each for each in list(self._loop_writers) if each.is_closed()]:
                self._loop_writers.pop(other).close()
            found = self._loop_writers[loop] = LoopWriter(loop, self)
        return found

    @property
    def hopes(self) -> bool:
        """Whether conflicts are rare enough for the hope that no identity is stored yet."""
        return self._conflicts < _CONFLICT_BOUND

    def note_conflict(self, had_conflict: bool) -> None:
        """Remember whether a group met a stored identity; what was long ago fades."""
        self._conflicts += _CONFLICT_MEMORY * (had_conflict - self._conflicts)

    def take_over(self, group: Sequence[Submission]) -> None:
        """Write in the thread what was queued in a loop."""
        with self._ready:
            is_closed = self._closed
            if not is_closed:
                self._queue.extend(group)
                self._ready.notify()
        if is_closed:
            self.settle(group, _unavailable())

    def settle(self, group: Sequence[Submission], error: PortalError | None) -> None:
        """The group has ended: count it off, wake its waiters."""
        with self._ready:
            self._queued -= sum(len(submission.items) for submission in group)
        _finish(group, error)

    def unknown(self, error: psycopg.Error) -> PortalError:
        logger.warning("ingest could not write: %s", type(error).__name__)
        return _unavailable()

    async def drain(self) -> None:
        """Wait until the running loop has nothing to write, and let its connection go."""
        found = self._loop_writers.pop(asyncio.get_running_loop(), None)
        if found is not None:
            while not found.is_idle:
                await asyncio.sleep(0.01)
            found.close()

    def close(self) -> None:
        """Write what is queued, then end the thread and the connections."""
        for loop, loop_writer in list(self._loop_writers.items()):
            try:
                loop.call_soon_threadsafe(loop_writer.close)
            except RuntimeError:  # the loop has ended
                loop_writer.close()
        with self._ready:
            self._closed = True
            self._ready.notify()
        self._thread.join(timeout=30)

    def _run(self) -> None:
        while group := self._take():
            began_ns = time.time_ns()
            error = self._write(group)
            ended_ns = time.time_ns()
            self.settle(group, error)
            if error is None:
                latencies().note(group, began_ns, ended_ns)
        self._drop_connection()

    def _take(self) -> list[Submission]:
        """The next group; waits for one. Empty when closed and drained."""
        with self._ready:
            while not self._queue and not self._closed:
                self._ready.wait()
            return take_group(self._queue)

    def _write(self, group: list[Submission], *, is_again: bool = False) -> PortalError | None:
        """Bring a group to its commit; the error that its submissions end with, or None."""
        try:
            self._write_with_retries(group, is_again=is_again)
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            self._drop_connection()
            return self.unknown(error)
        except UnavailableError as error:  # the vault's key of the dead letters is not at hand
            self._roll_back()
            if len(group) > 1:
                self._write_one_by_one(group)
                return None
            return error
        except psycopg.ProgrammingError as error:  # the tables are of another version than the code
            self._roll_back()
            logger.error("ingest and its tables do not fit", extra={"code": error.sqlstate})
            return _unavailable()
        except psycopg.Error as error:
            self._roll_back()
            if len(group) > 1:
                self._write_one_by_one(group)
                return None
            # The strict decoder should have kept this out: a bug, but of one request only. Neither
            # the database's message nor its details are logged: they may quote the row.
            logger.error("ingest met data that it could not store", extra={"code": error.sqlstate})
            code = "unstorable" if isinstance(error, psycopg.DataError) else "not_stored"
            return BadRequestError("The events cannot be stored.", code=code)
        except Exception:
            self._roll_back()
            logger.exception("ingest failed unexpectedly")
            return PortalError("It has been logged. Nothing was stored.")
        return None

    def _write_one_by_one(self, group: list[Submission]) -> None:
        """A submission that can't be stored must not take its neighbours with it."""
        for submission in group:
            error = self._write([submission], is_again=True)
            if error is not None:
                _finish([submission], error)

    def _write_with_retries(self, group: list[Submission], *, is_again: bool) -> None:
        optimistic = self.hopes and not any(
            submission.is_rehearsal or submission.is_known for submission in group
        )
        tries = 0
        while True:
            tries += 1
            connection = self._connected()
            try:
                is_again = is_again or tries > 1
                # Faults that a test has armed strike between the statements of the long way.
                hopes = optimistic and not is_again and not is_armed()
                is_stored = hopes and _store_plain(connection, group)
                had_conflict = not is_stored and write_group(
                    connection, group, optimistic=optimistic, is_again=is_again
                )
            except pg.UniqueViolation:
                connection.rollback()
                if not optimistic and tries >= _MAX_TRIES:
                    raise
                optimistic = False
                continue
            except pg.CheckViolation:
                connection.rollback()
                if tries >= _MAX_TRIES:
                    raise
                _make_missing_partitions(group)
                continue
            except (pg.DeadlockDetected, pg.SerializationFailure, pg.LockNotAvailable):
                connection.rollback()
                if tries >= _MAX_TRIES:
                    raise
                time.sleep(random.uniform(0.005, 0.05))  # noqa: S311  # jitter
                continue
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                # Nothing was committed yet. A connection that died while idle gets one more try.
                self._drop_connection()
                if tries > 1 or isinstance(error, wire.UnknownOutcomeError):
                    raise
                continue
            if group[0].is_rehearsal:
                connection.rollback()
                for item in group[0].items:
                    item.dead_letter = None
                return
            if not is_stored:
                failpoint("ingest.before_commit")
                connection.commit()
                failpoint("ingest.after_commit")
            self.note_conflict(had_conflict)
            return

    def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = connect()
            exchange.prepare(self._connection)
        return self._connection

    def _roll_back(self) -> None:
        try:
            if self._connection is not None:
                self._connection.rollback()
        except psycopg.Error:
            self._drop_connection()

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _store_plain(connection: Connection, group: Sequence[Submission]) -> bool:
    """Store and commit a group in one exchange; False: it is none for that, and nothing was done."""
    plain = plain_rows(group)
    if plain is None:
        return False
    exchange.store(connection, COPY_EVENTS, *plain)
    return True


def _make_missing_partitions(group: Sequence[Submission]) -> None:
    """Make the days that a group needs: an import reaches far back, or the daily task was late."""
    days: dict[str, set[int]] = {parent: set() for parent in partitions.PARENTS}
    for submission in group:
        days[partitions.DEAD_LETTERS].add(submission.received_us // _DAY_US)
        for item in submission.items:
            if item.packed:
                days[partitions.EVENT_PARENTS[item.track]].add(item.occurred_us // _DAY_US)
    with connect(autocommit=True) as connection:
        for parent, numbers in days.items():
            wanted = [moment_of(number * _DAY_US).date() for number in sorted(numbers)]
            partitions.make_days(connection, [parent], wanted)


def _unavailable() -> UnavailableError:
    return UnavailableError(
        "The database does not answer just now. Send the same events again.",
        retry_after_seconds=random.randint(1, 5),  # noqa: S311  # jitter
    )


def _finish(group: Sequence[Submission], error: PortalError | None) -> None:
    """Wake the waiters, with one call into each event loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Waiter]] = {}
    for submission in group:
        waiter = submission.waiter
        if isinstance(waiter, Future):
            if waiter.done():
                continue
            if error is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(error)
        elif waiter is not None and submission.loop is not None:
            by_loop.setdefault(submission.loop, []).append(waiter)
    here = asyncio._get_running_loop()
    for loop, waiters in by_loop.items():
        if loop is here:
            _wake(waiters, error)
            continue
        try:
            loop.call_soon_threadsafe(_wake, waiters, error)
        except RuntimeError:
            logger.info("a client's event loop ended before its answer")


def _wake(waiters: list[Waiter], error: PortalError | None) -> None:
    for waiter in waiters:
        if waiter.done():
            continue
        if error is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(error)


_writers: dict[int, Writer] = {}
_writers_lock = threading.Lock()


def writer() -> Writer:
    """The writer of this process (a fork gets its own), started on first use."""
    found = _writers.get(os.getpid())
    if found is None:
        with _writers_lock:
            found = _writers.get(os.getpid())
            if found is None:
                found = Writer(max_queued_events=settings.INGEST_QUEUE_EVENTS)
                _writers[os.getpid()] = found
    return found


def queued_events() -> int:
    """How many events of this process wait for their commit. Whoever only asks starts no writer."""
    found = _writers.get(os.getpid())
    return 0 if found is None else found.queued_events


async def drain_writer() -> None:
    """Wait until what the running loop has taken in is written."""
    found = _writers.get(os.getpid())
    if found is not None:
        await found.drain()


def close_writer() -> None:
    """Drain and end this process's writer; the next use starts another."""
    with _writers_lock:
        found = _writers.pop(os.getpid(), None)
    if found is not None:
        found.close()
    close_latencies()
