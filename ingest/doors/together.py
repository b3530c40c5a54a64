"""Single events that come with one key in one round of the loop: judged and stored as one batch, each
answered for itself.

Of what an event costs alone, most is spent on what it has in common with others. So the requests that
the loop brings in one round are put together by their keys. While a group of the writer is under way,
a few that come wait for more, for its end at most; enough for a batch are judged at once, so that the
loop works while the writer waits. An event about which there is anything to say leaves its batch and
is taken alone (`ingest.doors.express`).
"""

import asyncio
import logging
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
# So many share most of what they cost.
_ENOUGH: Final = 4


def submit(batch: Batch, waiter: Waiter) -> None:
    """Hand a batch to the writer. Raises UnavailableError when too much waits already."""
    submission = batch.submission()
    submission.waiter, submission.loop = waiter, asyncio.get_running_loop()
    writer().enqueue(submission)


class _Rounds:
    """Single events that came in the present round of the loop."""

    def __init__(self) -> None:
        self._calls: list[Call] = []
        self._loop: asyncio.AbstractEventLoop | None = None  # that judges; None while none wait

    def add(self, call: "Call") -> None:
        self._calls.append(call)
        loop = asyncio.get_running_loop()
        if self._loop is not loop:  # the one before may have ended
            self._loop = loop
            writer().when_free(loop, self._judge)
        elif len(self._calls) == _ENOUGH:
            loop.call_soon(self._judge)

    def _judge(self) -> None:
        calls, self._calls, self._loop = self._calls, [], None
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


_rounds: Final = _Rounds()
add: Final = _rounds.add
