"""Half-open windows over event time: tumbling, or hopping when a hop is given (statistics §9.2)."""

from collections.abc import Sequence
from math import fsum
from typing import TypedDict


class Window(TypedDict):
    """`start` is in the unit of the events' times; `sum` is of their values."""

    start: float
    count: int
    sum: float


class Windows(TypedDict):
    windows: list[Window]


def windows(*, events: Sequence[Sequence[float]], size: float, hop: float | None = None) -> Windows:
    """Count and sum per window, oldest first; windows without events are absent.

    An event is in every window with start ≤ t < start + size, start a multiple of the hop.
    """
    step = hop or size
    held: dict[float, list[float]] = {}
    for at, value in events:
        start = (at // step) * step
        while start > at - size:
            held.setdefault(start, []).append(value)
            start -= step
    return {
        "windows": [
            {"start": start, "count": len(values), "sum": fsum(values)}
            for start, values in sorted(held.items())
        ]
    }
