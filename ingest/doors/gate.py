"""The gate of one web process: how much may be in hand at once, decided before a body is read.

1. A request weighs 1 and another 1 for each 4 KiB of its body, packed ones as four times as long,
   and 16 when nobody says how long it is: about what it costs. It is in hand from being let in to
   its answer.
2. How much may be in hand follows the time that requests take, and the processor time that the
   event loop takes to come round, for a refusal waits for that as well. While either is longer than
   it should be, the limit sinks by a tenth, ten times a second; while there is time to spare and
   requests are turned away, it rises. So what waits is short, whatever the machine and the database.
   32 requests are always let in.
3. What one key may have in hand is its share when it gets tight: a key below its share is let in a
   quarter beyond the limit, one above it only while a quarter is free. Keys that send to experimental
   streams alone are let in only while a quarter is free, if others have anything in hand; these share
   all of it.
4. A body that takes its time is not in hand: after a second its weight is given back until it has
   come. What has come of all bodies counts in bytes, and beyond a bound nobody new is let in.
5. Large bodies are read one after the other (`lane`), so that nobody waits for a pile of them.
6. A refusal is decided in microseconds, but only once the loop has come round to its connection.
   While requests are turned away, only small bodies are judged at once; the others in slices and
   turns (`ingest.doors.turns`), so a round has some milliseconds of them, whatever is in hand. Who
   is turned away after another of its key, nothing having been given back, is not judged anew.

To be let in and to leave cost about two microseconds.
"""

import asyncio
import math
import random
import threading
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from django.conf import settings

from ingest.doors.uses import Refusal, Uses, uses
from portal.kernel.errors import UnavailableError

UNIT_BYTES: Final = 4096
MIN_LIMIT: Final = 64.0
MIN_REQUESTS: Final = 32
# What an idle process lets in before it knows how long that takes: some hundred milliseconds' worth.
START_LIMIT: Final = 512.0
MAX_LIMIT: Final = 2048.0
# A request should take no longer than this and so much for each unit of its weight.
TARGET_SECONDS: Final = 0.15
UNIT_SECONDS: Final = 0.004
# How long the loop may compute until it comes round, on average.
LOOP_SECONDS: Final = 0.02
SLOW_BODY_SECONDS: Final = 1.0
# How long a refusal counts as pressure.
PRESSED_SECONDS: Final = 1.0
# How much of a body is judged in one turn, as runs weigh: some milliseconds. With a third of it at
# twice the load a fifth less was taken, and refusals came 10 ms sooner (decision 0023).
SLICE_BYTES: Final = 160 * 1024
_PRESSED_SHORT_BYTES: Final = 8 * 1024
_LOOK_SECONDS: Final = 0.005
_ROUNDS_KEPT: Final = 512
_ROUND_SECONDS: Final = 0.1
# From this weight on a body takes its turn.
_LARGE: Final = 16
_LARGE_AT_ONCE: Final = 2
_PACKED: Final = 4


class Ticket:
    """One request that was let in. `close` it whatever comes."""

    __slots__ = (
        "_began", "_gate", "_is_in_hand", "_is_open", "bytes", "is_on_trial", "key_id", "weight",
    )  # fmt: skip

    def __init__(self, gate: "Gate", key_id: str, weight: int, *, is_on_trial: bool) -> None:
        self._gate = gate
        self.key_id, self.weight, self.is_on_trial = key_id, weight, is_on_trial
        self.bytes = 0
        self._is_open = self._is_in_hand = True
        self._began = time.monotonic()

    def hold(self, size: int) -> None:
        """More of the body has come. Raises UnavailableError when all bodies together are too many."""
        self.bytes += size
        self._gate._hold(self, size)

    def wait_for_body(self) -> None:
        """The body is slow: it costs its bytes only, until it has come."""
        if self._is_open and self._is_in_hand:
            self._is_in_hand = False
            self._gate._put_down(self)

    def body_came(self) -> None:
        """The slow body is there: it weighs again, and its time begins anew."""
        if not self._is_in_hand:
            self._is_in_hand = True
            self._began = time.monotonic()
            self._gate._take_up(self)

    def close(self) -> None:
        """Give place and bytes back; how long it took moves the limit. Again, it does nothing."""
        if self._is_open:
            self._is_open = False
            self._gate._leave(self, time.monotonic() - self._began, in_hand=self._is_in_hand)


class Gate:
    """May be used from any thread."""

    def __init__(self, uses: Uses, *, max_bytes: int) -> None:
        self._uses = uses
        self._lock = threading.Lock()
        self._weights: dict[str, int] = {}  # by key, of what is in hand
        self._trial: dict[str, int] = {}  # and what of it came as of keys on trial
        self._weight = self._trial_weight = 0
        self._peak = 0
        self._requests = 0
        self._bytes = 0
        self._max_bytes = max_bytes
        self.limit = START_LIMIT
        self._round_ends = 0.0
        self._excess = 0.0
        self._finished = 0
        self._refused = 0
        self._refused_at = -PRESSED_SECONDS
        # Since anything was given back, by key: how many more like the first that was turned away.
        self._turned_away: dict[str, int] = {}
        self._looked_at = -1.0  # when the latest look at the loop began
        self._is_looking = False
        self._rounds: deque[float] = deque(maxlen=_ROUNDS_KEPT)  # seconds on the clock
        self._loop_seconds = 0.0
        self._n_looks = 0
        self._busy_since = 0.0
        self.was_used = False
        self._lanes: dict[asyncio.AbstractEventLoop, asyncio.Semaphore] = {}

    def enter(
        self,
        key_id: str,
        content_length: str,
        *,
        is_full: bool,
        is_packed: bool = False,
        is_on_trial: bool = False,
    ) -> Ticket:
        """Let a request in; its Content-Length was judged before, and may be empty. `is_on_trial`:
        its key sends to experimental streams alone.

        Raises UnavailableError, with when to come again, if there is no room.
        """
        if content_length:
            length = int(content_length)
            weight = 1 + (_PACKED * length if is_packed else length) // UNIT_BYTES
        else:
            weight = _LARGE
        since = time.monotonic() - self._looked_at
        if since > 1 or (since > _LOOK_SECONDS and not self._is_looking):
            self._look_at_loop()
        with self._lock:
            mine = self._weights.get(key_id, 0)
            is_open = not is_full and self._bytes < self._max_bytes
            if is_open and self._has_room(mine, is_on_trial=is_on_trial):
                ticket = Ticket(self, key_id, weight, is_on_trial=is_on_trial)
                self._put_in(ticket)
                self._peak = max(self._peak, self._weight)
                self._requests += 1
                self.was_used = True
                return ticket
            if not is_full:
                self._turned_away.setdefault(key_id, 0)
            self._refused += 1
            self._refused_at = time.monotonic()
            wait = self._seconds_to_wait()
        self._uses.refuse(key_id, Refusal.BUSY)
        raise _busy(wait)

    def turns_away(self, key_id: str) -> bool:
        """Whether this key was turned away and nothing was given back since: it would be again."""
        return key_id in self._turned_away

    def turn_away(self, key_id: str) -> int:
        """Turn away one more request of such a key, and count it; gives the seconds after which it
        may come again. 0: something was given back."""
        with self._lock:
            more = self._turned_away.get(key_id)
            if more is None:
                return 0
            self._turned_away[key_id] = more + 1
            self._refused += 1
            self._refused_at = time.monotonic()
            return self._seconds_to_wait()

    def _given_back(self) -> None:
        for key_id, more in self._turned_away.items():
            if more:
                self._uses.refuse(key_id, Refusal.BUSY, more)
        self._turned_away.clear()

    @property
    def is_pressed(self) -> bool:
        """Whether requests were turned away in the last second."""
        return time.monotonic() - self._refused_at < PRESSED_SECONDS

    def may_be_short(self, size: int) -> bool:
        """Whether a body of so many bytes may be judged at once, where it came, without a turn."""
        return size <= _PRESSED_SHORT_BYTES or not self.is_pressed

    def _look_at_loop(self) -> None:
        """Take the time that the loop needs to come round once."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # a thread of a WSGI server
            return
        self._looked_at = time.monotonic()
        self._is_looking = True
        loop.call_soon(self._begin_round, loop)

    def _begin_round(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.call_soon(self._came_round, time.monotonic(), time.thread_time())

    def _came_round(self, began: float, cpu_began: float) -> None:
        with self._lock:
            self._rounds.append(time.monotonic() - began)
            # Of this thread only: a machine that is busy with other things is not our load.
            self._loop_seconds += time.thread_time() - cpu_began
            self._n_looks += 1
            self._is_looking = False

    def _has_room(self, mine: int, *, is_on_trial: bool) -> bool:
        # Full is what is beyond both: so many requests are let in whatever they weigh.
        filled = min(self._weight / self.limit, self._requests / MIN_REQUESTS)
        if filled < 0.75:
            return True
        n_keys = len(self._weights) + (mine == 0)
        if n_keys == 1:
            return filled < 1
        if self._trial and not is_on_trial:
            # At most all of them: a key may have begun on trial and gone on in production.
            n_keys = max(1, n_keys - len(self._trial))
        elif is_on_trial and self._trial_weight < self._weight:
            return False
        return filled < 1.25 and mine < self._weight / n_keys

    def _seconds_to_wait(self) -> int:
        """The longer it lasts, the later: 1 to 5 s at first, up to 60 after minutes; spread out."""
        now = time.monotonic()
        if not self._busy_since:
            self._busy_since = now
        most = min(60, 5 + int((now - self._busy_since) / 4))
        return 1 + int(random.random() * most)  # noqa: S311  # jitter; a third of randint's price

    def _hold(self, ticket: Ticket, size: int) -> None:
        with self._lock:
            self._bytes += size
            is_too_much = self._bytes > 2 * self._max_bytes and ticket.bytes > UNIT_BYTES
            if is_too_much:
                self._refused += 1
                wait = self._seconds_to_wait()
            else:
                return
        self._uses.refuse(ticket.key_id, Refusal.BUSY)
        raise _busy(wait)

    def _take_up(self, ticket: Ticket) -> None:
        with self._lock:
            self._put_in(ticket)

    def _put_in(self, ticket: Ticket) -> None:
        self._weight += ticket.weight
        _add(self._weights, ticket.key_id, ticket.weight)
        if ticket.is_on_trial:
            self._trial_weight += ticket.weight
            _add(self._trial, ticket.key_id, ticket.weight)

    def _put_down(self, ticket: Ticket) -> None:
        with self._lock:
            self._given_back()
            self._lift(ticket)

    def _lift(self, ticket: Ticket) -> None:
        self._weight -= ticket.weight
        _add(self._weights, ticket.key_id, -ticket.weight)
        if ticket.is_on_trial:
            self._trial_weight -= ticket.weight
            _add(self._trial, ticket.key_id, -ticket.weight)

    def _leave(self, ticket: Ticket, seconds: float, *, in_hand: bool) -> None:
        now = time.monotonic()
        with self._lock:
            if self._turned_away:
                self._given_back()
            self._requests -= 1
            self._bytes -= ticket.bytes
            if not in_hand:
                return
            self._lift(ticket)
            self._finished += ticket.weight
            target = TARGET_SECONDS + UNIT_SECONDS * ticket.weight
            self._excess += ticket.weight * (seconds - target)
            if now >= self._round_ends:
                self._adapt(now)

    def _adapt(self, now: float) -> None:
        excess = self._excess / self._finished
        loop_seconds = self._loop_seconds / max(1, self._n_looks)
        if excess > 0 or loop_seconds > LOOP_SECONDS:
            self.limit = max(MIN_LIMIT, min(self.limit, self._peak * 1.25) * 0.9)
        elif loop_seconds < LOOP_SECONDS / 2:
            if self._refused and excess < -TARGET_SECONDS / 3:
                self.limit = min(MAX_LIMIT, self.limit * 1.05)
            elif not self._refused and self.limit < START_LIMIT:
                self.limit = min(START_LIMIT, self.limit * 1.02)
        if not self._refused:
            self._busy_since = 0.0
        self._finished = self._refused = 0
        self._peak = self._weight
        self._excess = self._loop_seconds = 0.0
        self._n_looks = 0
        self._round_ends = now + _ROUND_SECONDS

    def load(self, queued: int = 0) -> str:
        """What `parse_load` reads: what this process has in hand; `queued` events wait to commit."""
        with self._lock:
            self.was_used = self._requests > 0
            rounds = sorted(self._rounds)
            late = rounds[len(rounds) * 95 // 100] if rounds else 0.0
            numbers = (
                self._requests, self._weight, math.floor(self.limit), queued, round(late * 1e6),
            )  # fmt: skip
        return " ".join(map(str, (int(time.time()), *numbers)))

    @asynccontextmanager
    async def lane(self, ticket: Ticket) -> AsyncIterator[None]:
        """The turn of a large body; a small one has no need of it."""
        if ticket.weight < _LARGE:
            yield
            return
        loop = asyncio.get_running_loop()
        lane = self._lanes.get(loop)
        if lane is None:
            self._lanes = {loop: asyncio.Semaphore(_LARGE_AT_ONCE)}
            lane = self._lanes[loop]
        async with lane:
            yield


@dataclass(frozen=True, slots=True)
class Load:
    """What one process had in hand at a time (Unix seconds).

    `round_us`: of twenty looks at the event loop, nineteen found that it comes round sooner. So long
    a request waits until it is let in or refused.
    """

    at: int
    requests: int
    weight: int
    limit: int
    queued: int
    round_us: int = 0


def parse_load(text: bytes | str) -> Load:
    """The load that `Gate.load` wrote. Raises ValueError where a part is no whole number."""
    return Load(*(int(number) for number in text.split()))


def _add(weights: dict[str, int], key_id: str, weight: int) -> None:
    """Add to what a key has in hand; a key with nothing is not kept."""
    found = weights.get(key_id, 0) + weight
    if found:
        weights[key_id] = found
    else:
        del weights[key_id]


def _busy(wait_seconds: int) -> UnavailableError:
    return UnavailableError(
        "The portal has more in hand than it can take just now.", retry_after_seconds=wait_seconds
    )


gate: Final = Gate(uses, max_bytes=settings.INGEST_BODY_BYTES)
