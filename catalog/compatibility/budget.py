"""How much work a comparison may take before it answers that it is undecided."""

import time
from typing import Final

MAX_PAIRS: Final = 50_000
MAX_SECONDS: Final = 1.0  # of the thread's own work
WALL_RATIO: Final = 1.5  # how much longer it may take where others use the machine too
MAX_JOINED: Final = 12_000
MAX_EXAMPLE_SECONDS: Final = 0.3


class ExhaustedError(Exception):
    """The work is capped; what was reached so far is the answer."""


class Budget:
    """Pairs and time of one question, shared by all its proofs."""

    def __init__(self, *, pairs: int = MAX_PAIRS, seconds: float = MAX_SECONDS) -> None:
        self._left = pairs
        self._until = time.thread_time() + seconds
        self._latest = time.monotonic() + WALL_RATIO * seconds

    def spend(self) -> None:
        """One pair more. Raises ExhaustedError."""
        self._left -= 1
        if self._left < 0 or not self.has_time():
            raise ExhaustedError

    def check(self) -> None:
        """Raises ExhaustedError when the time is over."""
        if not self.has_time():
            raise ExhaustedError

    def has_time(self) -> bool:
        """Whether neither the thread's own time nor the wall clock's is over."""
        return time.thread_time() < self._until and time.monotonic() < self._latest
