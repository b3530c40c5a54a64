"""Heavy work in turns: a few milliseconds of it each time that the event loop comes round.

A request that is to be refused waits until the loop has come round to its connection. While each of
forty batches was judged a slice in every round, that took as long as forty slices. Now they stand in
a row, and a round has as many of their slices as fit into its share: mostly one of a large body, a
few of small ones. With only one of those a round, what a batch shares with others (a commit, a warm
cache) was lost; on a slow machine a round has fewer than on a fast one (decision 0023).
"""

import asyncio
import time
from collections import deque
from typing import Final
from weakref import WeakKeyDictionary

# How long this thread may compute on the slices of one round.
ROUND_SECONDS: Final = 0.006
_MOST: Final = 8
# How much of a slice's time follows the latest round, where that was the quicker one: a longer one is
# believed at once.
_MEMORY: Final = 0.2


class Turns:
    """The row of one event loop."""

    def __init__(self) -> None:
        self._row: deque[asyncio.Future[None]] = deque()
        self._is_going = False
        self._began = 0.0  # the slices of this round
        self._given = 0  # how many they are
        self._slice_seconds = ROUND_SECONDS  # one a round until it is known better

    async def wait(self) -> None:
        """Come back when it is this one's turn, for one slice: until it waits again, or ends."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._row.append(future)
        if not self._is_going:
            self._is_going = True
            loop.call_soon(self._next, loop)
        await future

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        self._learn()
        # Tasks go on in the order in which they are woken, between `_begin` and this, and before the
        # loop looks at its connections again.
        loop.call_soon(self._begin)
        most = max(1, min(_MOST, int(ROUND_SECONDS / self._slice_seconds)))
        while self._row and self._given < most:
            future = self._row.popleft()
            if not future.done():  # else its request was given up
                future.set_result(None)
                self._given += 1
        if self._given:
            loop.call_soon(self._next, loop)
        else:
            self._is_going = False

    def _begin(self) -> None:
        self._began = time.thread_time()

    def _learn(self) -> None:
        if self._given:
            took = (time.thread_time() - self._began) / self._given
            if took < self._slice_seconds:
                took = self._slice_seconds + _MEMORY * (took - self._slice_seconds)
            self._slice_seconds = took
            self._given = 0


_of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, Turns] = WeakKeyDictionary()


def turns() -> Turns:
    """The row of the running loop."""
    loop = asyncio.get_running_loop()
    found = _of_loops.get(loop)
    if found is None:
        found = _of_loops[loop] = Turns()
    return found
