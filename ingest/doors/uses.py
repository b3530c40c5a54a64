"""What each key sent and was refused, by minute: counted in the process, kept in a small table.

A refused request leaves no trace but its count: no row of its own, no body, no log line.
"""

import threading
import time
from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Refusal(StrEnum):
    """Why a request was turned away before its body was read."""

    QUOTA_KEY = "quota_key"
    QUOTA_STREAM = "quota_stream"
    BUSY = "busy"


_COLUMNS: Final = {
    Refusal.QUOTA_KEY: 1,
    Refusal.QUOTA_STREAM: 2,
    Refusal.BUSY: 3,
}
# Beyond so many counts that the table could not take, new ones are given up.
_MAX_COUNTS: Final = 100_000

# events, and refused requests by reason, in the order of `_COLUMNS`
Counts = list[int]


class Uses:
    """The counts of one process since they were taken last, by key and minute (Unix time / 60)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, int], Counts] = {}

    def add(self, key_id: str, events: int) -> None:
        """Count events that a key sent in the present minute, whatever became of them."""
        self._count(key_id, 0, events)

    def refuse(self, key_id: str, why: Refusal, count: int = 1) -> None:
        """Count requests of a key that were turned away before their bodies were read."""
        self._count(key_id, _COLUMNS[why], count)

    def _count(self, key_id: str, column: int, number: int) -> None:
        place = (key_id, int(time.time()) // 60)
        with self._lock:
            counts = self._counts.get(place)
            if counts is None:
                if len(self._counts) >= _MAX_COUNTS:
                    return
                counts = self._counts[place] = [0, 0, 0, 0]
            counts[column] += number

    @property
    def is_empty(self) -> bool:
        return not self._counts

    def take(self) -> dict[tuple[str, int], Counts]:
        """Everything counted so far, to be written; give it back with `put_back` if it was not."""
        with self._lock:
            found, self._counts = self._counts, {}
        return found

    def put_back(self, counts: Mapping[tuple[str, int], Counts]) -> None:
        """Add what `take` gave to what was counted since; for when it could not be written."""
        with self._lock:
            for place, numbers in counts.items():
                kept = self._counts.setdefault(place, [0, 0, 0, 0])
                for column, number in enumerate(numbers):
                    kept[column] += number


uses: Final = Uses()
