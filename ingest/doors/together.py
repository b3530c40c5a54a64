"""Single events that come with one key at about one time: judged and stored as one batch, each answered
for itself.

Of what an event costs alone, most is spent on what it has in common with others. So the requests that
come in one round of the loop, or while a group of the writer is under way, are put together by their
keys; and when a group has ended, those it answered are waited for, two milliseconds at most (decision
0033). An event about which there is anything to say leaves its batch and is taken alone
(`ingest.doors.express`).
"""

import asyncio
import logging
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from ingest.doors import door
from ingest.doors.limits import quotas
from ingest.judging.admission import directory
from ingest.judging.pipeline import Batch
from ingest.log.group import Waiter
from ingest.log.store import writer
from ingest.protocols import cloudevents
from portal.kernel.errors import PortalError, UnavailableError

if TYPE_CHECKING:
    from ingest.doors.express import Call

logger = logging.getLogger(__name__)

# As a run weighs; more, judged at once, holds the loop for too long.
MAX_WEIGHT: Final = 224 * 1024
# So many are judged though the writer is not free: more would share little more of what they cost.
_ENOUGH: Final = 64
# How long others wait for those who were answered.
PATIENCE_SECONDS: Final = 0.002
# Waits in vain that count: after the last of them two to its power are left out.
_MOST_IN_VAIN: Final = 6


def submit(batch: Batch, waiter: Waiter) -> None:
    """Hand a batch to the writer. Raises UnavailableError when too much waits already."""
    submission = batch.submission()
    submission.waiter, submission.loop = waiter, asyncio.get_running_loop()
    writer().enqueue(submission)


class _Gathering:
    """Single events that wait for others: until the writer is free, and then a moment for those who
    were answered just before, for a client that sends one event after the other sends again at once.
    """

    def __init__(self) -> None:
        self._calls: list[Call] = []
        self._loop: asyncio.AbstractEventLoop | None = None  # that judges; None while none wait
        self._expected = 0  # how many there are once all who were answered have sent again
        self._answered_at = 0.0
        self._wait: asyncio.TimerHandle | None = None
        self._were_there = 0  # when the wait began
        self._in_vain = 0  # waits in a row, as far as they count
        self._passes = 0  # how many of the next waits are left out

    def add(self, call: "Call") -> None:
        self._calls.append(call)
        loop = asyncio.get_running_loop()
        if self._loop is not loop:  # the one before may have ended
            self._loop, self._wait = loop, None
            writer().when_free(loop, self._writer_is_free)
        elif len(self._calls) == _ENOUGH or (
            self._wait is not None and len(self._calls) >= self._expected
        ):
            loop.call_soon(self._judge)  # after whatever else this round of the loop brings

    def answered(self, count: int) -> None:
        """So many single events were stored, and who sent them knows by now."""
        if not self._expected:
            self._expected = len(self._calls)
        self._expected += count
        self._answered_at = time.monotonic()

    def _writer_is_free(self) -> None:
        if self._loop is None or self._wait is not None:  # enough of them did not wait for this
            return
        left = self._answered_at + PATIENCE_SECONDS - time.monotonic()
        if len(self._calls) >= self._expected or left <= 0:
            self._judge()
        elif self._passes:
            self._passes -= 1
            self._judge()
        else:
            self._were_there = len(self._calls)
            self._wait = self._loop.call_later(left, self._judge)

    def _end_wait(self) -> None:
        """After a wait for which fewer than half came some are left out: one, then two, then four."""
        if self._wait is None:
            return
        self._wait.cancel()
        self._wait = None
        came, awaited = len(self._calls) - self._were_there, self._expected - self._were_there
        if 2 * came >= awaited:
            self._in_vain = 0
        else:
            self._passes = 2**self._in_vain
            self._in_vain = min(self._in_vain + 1, _MOST_IN_VAIN)

    def _judge(self) -> None:
        self._end_wait()
        calls, self._calls, self._loop = self._calls, [], None
        self._expected = 0
        by_key: dict[int, list[Call]] = {}
        for call in calls:
            if not call.done():
                by_key.setdefault(id(call.visit.publisher), []).append(call)
        for same in by_key.values():
            for several in _in_runs(same):
                for call in _left_by_all(several):
                    call.take_alone()


def _in_runs(calls: list["Call"]) -> Iterator[list["Call"]]:
    """Calls in runs that are no heavier than what is judged at once."""
    run: list[Call] = []
    weight = 0
    for call in calls:
        run.append(call)
        weight += len(call.body) + cloudevents.EVENT_BYTES
        if weight > MAX_WEIGHT:
            yield run
            run, weight = [], 0
    if run:
        yield run


def _left_by_all(calls: list["Call"]) -> list["Call"]:
    """Take single events of one key as one batch; gives those about which there is more to say."""
    batch = _judged_together(calls) if len(calls) > 1 else None
    if batch is None:
        return calls
    waiting = {place for place, _ in batch.waiting}
    taken = [call for place, call in enumerate(calls) if place not in waiting]
    batch.items = [item for place, item in enumerate(batch.items) if place not in waiting]
    batch.waiting = []
    if taken:
        _Together(batch, taken).submit()
    return [calls[place] for place in sorted(waiting)]


def _judged_together(calls: list["Call"]) -> Batch | None:
    """A batch with an item for each call, as far as there is nothing about its event."""
    try:
        run = cloudevents.run_of_several([call.body for call in calls])
        if run is None:
            return None
        batch = door.batch_of(calls[-1].visit, directory)  # all had come by then
        batch.offer(run)
        return batch
    except Exception:  # whose it is, each finds by itself
        logger.exception("single events could not be judged together")
        return None


class _Together:
    """Calls whose events are one submission, of which it is the waiter."""

    __slots__ = ("_batch", "_calls", "_is_done")

    def __init__(self, batch: Batch, calls: list["Call"]) -> None:
        self._batch, self._calls = batch, calls  # an item each
        self._is_done = False

    def submit(self) -> None:
        try:
            submit(self._batch, self)
        except PortalError as error:
            self.set_exception(error)

    def done(self) -> bool:
        return self._is_done

    def set_result(self, result: None) -> None:
        self._is_done = True
        batch = self._batch
        batch.settle()
        for call, item in zip(self._calls, batch.items, strict=True):
            if not call.done():
                call.stored_as(item)
        answered(len(self._calls))
        quotas.charge(batch.publisher, batch.items, batch.streams.values(), paid=len(batch.items))

    def set_exception(self, error: PortalError) -> None:
        self._is_done = True
        for call in self._calls:
            if call.done():
                continue
            if isinstance(error, UnavailableError):
                call.set_exception(error)
            else:  # of one of them; nothing was stored
                call.take_alone()


_gathering: Final = _Gathering()
add: Final = _gathering.add
answered: Final = _gathering.answered
