"""How long events take, as histograms by stream and minute that cost the road next to nothing.

1. After each commit the writer hands its group over (`note`). At most three of its requests, and of
   each at most eight events, are looked at and count for all of them: ten to twenty microseconds a
   group, however many events it has. What is small is counted whole.
2. They are kept in memory: from receipt to judgement (`judge`), from receipt to commit (`commit`),
   from the event's own time to commit (`age`), and of the writer itself how long a group's
   transaction took (`write`) and how many events it had (`group`).
3. Every five seconds a thread of the process adds them to `ingest_latencyminute`, and the sum over
   all streams as stream 0. Adding histograms is exact, so it does not matter which process counted.

What a process that dies had not yet added is lost: nothing is decided by these, and the accounts,
which must add up, are none of this. Replays and imports are left out: their times are not the road's.
"""

import logging
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import IntEnum
from typing import Final, Protocol

import psycopg

from ingest.log.connection import connect
from ingest.times import moment_of
from ingest.types import Mark, Status
from portal.kernel import sql

logger = logging.getLogger(__name__)

FLUSH_SECONDS: Final = 5.0
MAX_REQUESTS: Final = 3
MAX_EVENTS: Final = 8
_MAX_CELLS: Final = 50_000
_MINUTE_US: Final = 60_000_000
_IMPORTED: Final = Mark.IMPORTED.value  # a plain number: flags of an enum are slow
_ADD: Final = sql.load("ingest", "add_latencies")
EVERYTHING: Final = 0  # stands for all streams


class Measure(IntEnum):
    """What a histogram counts; in microseconds, `GROUP` in events."""

    JUDGE = 1
    COMMIT = 2
    AGE = 3
    WRITE = 4
    GROUP = 5
    FRESHNESS = 6


class _Item(Protocol):
    stream_id: int
    occurred_us: int
    status: Status
    marks: int


class _Submission(Protocol):
    @property
    def items(self) -> Sequence[_Item]: ...

    received_us: int
    queued_us: int
    is_rehearsal: bool
    is_replay: bool


# stream, microseconds of the minute, measure
Place = tuple[int, int, Measure]
Histograms = dict[Place, dict[int, int]]


class Latencies:
    """The histograms of one process. `note` is for its writer's thread alone."""

    def __init__(self) -> None:
        self._cells: Histograms = {}
        self._lock = threading.Lock()
        self._turn = 0
        self._due = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None

    def note(self, group: Sequence[_Submission], began_ns: int, committed_ns: int) -> None:
        """Count a group that was committed. Times are of the clock, as `time.time_ns` has them."""
        committed_us = committed_ns // 1000
        minute = committed_us - committed_us % _MINUTE_US
        stride = -(-len(group) // MAX_REQUESTS)
        self._turn += 1
        with self._lock:
            for submission in group[self._turn % stride :: stride]:
                if not (submission.is_rehearsal or submission.is_replay):
                    self._count(submission, minute, committed_us, stride)
            self._add((EVERYTHING, minute, Measure.WRITE), (committed_ns - began_ns) // 1000, 1)
            events = sum(len(submission.items) for submission in group)
            self._add((EVERYTHING, minute, Measure.GROUP), events, 1)
        if not self._due.is_set():
            self._due.set()
            if self._thread is None:
                self._start()

    def _count(self, submission: _Submission, minute: int, committed_us: int, weight: int) -> None:
        items = submission.items
        step = -(-len(items) // MAX_EVENTS) or 1
        weight *= step
        taken: dict[int, int] = {}
        for item in items[self._turn % step :: step]:
            if item.status is Status.ACCEPTED and not item.marks & _IMPORTED:
                stream = item.stream_id
                taken[stream] = taken.get(stream, 0) + weight
                self._add((stream, minute, Measure.AGE), committed_us - item.occurred_us, weight)
        for stream, events in taken.items():
            waited = committed_us - submission.received_us
            self._add((stream, minute, Measure.COMMIT), waited, events)
            if submission.queued_us:
                judged = submission.queued_us - submission.received_us
                self._add((stream, minute, Measure.JUDGE), judged, events)

    def _add(self, place: Place, value: int, events: int) -> None:
        # `log_buckets.bucket_of`, written out: this is the inner loop.
        if value < 4:
            bucket = max(0, value)
        else:
            bits = value.bit_length()
            bucket = 4 * bits - 8 + (value >> (bits - 3) & 3)
        cell = self._cells.get(place)
        if cell is None:
            if len(self._cells) >= _MAX_CELLS:  # the database has been away for long
                return
            cell = self._cells[place] = {}
        cell[bucket] = cell.get(bucket, 0) + events

    def take(self) -> Histograms:
        """What was counted since the last time."""
        with self._lock:
            cells, self._cells = self._cells, {}
        return cells

    def flush(self) -> None:
        """Add what was counted to its table. Raises psycopg.Error; then it is kept for later."""
        cells = self.take()
        if not cells:
            return
        try:
            with connect() as connection:
                add(connection, cells)
        except psycopg.Error:
            self._put_back(cells)
            raise

    def _put_back(self, cells: Histograms) -> None:
        with self._lock:
            for place, counts in cells.items():
                if len(self._cells) >= _MAX_CELLS:
                    return
                into = self._cells.setdefault(place, {})
                for bucket, events in counts.items():
                    into[bucket] = into.get(bucket, 0) + events

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="ingest-latencies", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        pause = threading.Event()
        while not self._closed:
            self._due.wait()
            pause.wait(FLUSH_SECONDS)
            self._due.clear()
            self._try()

    def _try(self) -> None:
        try:
            self.flush()
        except psycopg.Error as error:
            logger.warning("latencies could not be kept yet: %s", type(error).__name__)

    def close(self) -> None:
        """Add the last of it; the thread ends by itself."""
        self._closed = True
        self._due.set()
        self._try()


def add(connection: psycopg.Connection[tuple[object, ...]], cells: Histograms) -> None:
    """Add histograms of streams to their table, and their sum as that of everything."""
    rows = dict(cells)
    for (stream, minute, measure), counts in cells.items():
        if stream != EVERYTHING:
            place = (EVERYTHING, minute, measure)
            rows[place] = _sum(rows.get(place, {}), counts)
    flat = [
        (stream, int(measure), minute, bucket, events)
        for (stream, minute, measure), counts in rows.items()
        for bucket, events in counts.items()
    ]
    streams, measures, minutes, buckets, events = (
        list(column) for column in zip(*flat, strict=True)
    )
    connection.execute(
        _ADD,
        {
            "streams": streams, "measures": measures, "minutes": _moments(minutes),
            "buckets": buckets, "events": events,
        },
    )  # fmt: skip


def _sum(into: Mapping[int, int], counts: Mapping[int, int]) -> dict[int, int]:
    found = dict(into)
    for bucket, events in counts.items():
        found[bucket] = found.get(bucket, 0) + events
    return found


def _moments(minutes: Iterable[int]) -> list[datetime]:
    return [moment_of(minute) for minute in minutes]


_by_process: dict[int, Latencies] = {}


def latencies() -> Latencies:
    """Those of this process; a fork gets its own."""
    pid = os.getpid()
    found = _by_process.get(pid)
    if found is None:
        found = _by_process.setdefault(pid, Latencies())
    return found


def close_latencies() -> None:
    """Keep what this process counted, at its end; a later use counts anew."""
    found = _by_process.pop(os.getpid(), None)
    if found is not None:
        found.close()
