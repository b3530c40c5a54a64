"""Heavy work in turns: one slice each time that the event loop comes round.

A request that is to be refused waits until the loop has come round to its connection. While each of
forty batches was judged a slice in every round, that took as long as forty slices. Now they stand in
a row: after each slice, whoever's, the loop looks at its connections.
"""

import asyncio
from collections import deque
from weakref import WeakKeyDictionary


class Turns:
    """The row of one event loop."""

    def __init__(self) -> None:
        self._row: deque[asyncio.Future[None]] = deque()
        self._is_going = False

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
        while self._row:
            future = self._row.popleft()
            if not future.done():  # else its request was given up
                future.set_result(None)
                # The task goes on in the next round of the loop, before this comes again.
                loop.call_soon(self._next, loop)
                return
        self._is_going = False


_of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, Turns] = WeakKeyDictionary()


def turns() -> Turns:
    """The row of the running loop."""
    loop = asyncio.get_running_loop()
    found = _of_loops.get(loop)
    if found is None:
        found = _of_loops[loop] = Turns()
    return found
