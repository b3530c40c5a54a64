"""Funnels: how far units come through steps within a window (statistics §10.1).

1. The events of a unit are sorted by time and position.
2. Every event of the first step (unordered: of any step) starts an attempt.
3. A unit's level is that of its best attempt; of equal ones the earliest start counts.
"""

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any, Literal, TypedDict

Event = tuple[float, float, str]
Attempt = tuple[int, float | None]  # steps reached, seconds to the last one when all were


class Funnel(TypedDict):
    """`reached` counts units for each step, in their order. `conversion`, 0 to 1, is None when none
    reached the first, `median_seconds` when none reached the last."""

    reached: list[int]
    conversion: float | None
    median_seconds: float | None


def funnel(
    *,
    steps: Sequence[str],
    window: float,
    mode: Literal["ordered", "strict", "unordered"],
    units: Mapping[str, Sequence[Sequence[Any]]],
    exclude: Sequence[str] | None = None,
) -> Funnel:
    """Units that reached each step, the share that reached the last, and the median time to it."""
    attempt = _ATTEMPTS[mode]
    levels: list[int] = []
    times: list[float] = []
    for rows in units.values():
        events: list[Event] = sorted((row[0], row[1], row[2]) for row in rows)
        level, seconds = _best(events, steps, window, frozenset(exclude or ()), attempt)
        levels.append(level)
        if seconds is not None:
            times.append(seconds)
    reached = [sum(level > step for level in levels) for step in range(len(steps))]
    return {
        "reached": reached,
        "conversion": reached[-1] / reached[0] if reached and reached[0] else None,
        "median_seconds": float(median(times)) if times else None,
    }


def _best(
    events: list[Event],
    steps: Sequence[str],
    window: float,
    excluded: frozenset[str],
    attempt: Callable[[list[Event], Sequence[str], float, frozenset[str]], Attempt],
) -> Attempt:
    best: Attempt = (0, None)
    starts = set(steps) if attempt is _unordered else {steps[0]}
    for place, event in enumerate(events):
        if event[2] in starts:
            found = attempt(events[place:], steps, window, excluded)
            if found[0] > best[0]:
                best = found
    return best


def _in_order(
    events: list[Event], steps: Sequence[str], window: float, excluded: frozenset[str], *,
    strict: bool,
) -> Attempt:  # fmt: skip
    start, level = events[0][0], 1
    if level == len(steps):
        return level, 0.0
    for at, _, name in events[1:]:
        if at > start + window or name in excluded:
            break
        if name == steps[level]:
            level += 1
            if level == len(steps):
                return level, at - start
        elif strict and name in steps and name != steps[level - 1]:
            break
    return level, None


def _ordered(
    events: list[Event], steps: Sequence[str], window: float, excluded: frozenset[str]
) -> Attempt:
    return _in_order(events, steps, window, excluded, strict=False)


def _strict(
    events: list[Event], steps: Sequence[str], window: float, excluded: frozenset[str]
) -> Attempt:
    return _in_order(events, steps, window, excluded, strict=True)


def _unordered(
    events: list[Event], steps: Sequence[str], window: float, excluded: frozenset[str]
) -> Attempt:
    start, found = events[0][0], {events[0][2]}
    if len(found) == len(set(steps)):
        return len(steps), 0.0
    for at, _, name in events[1:]:
        if at > start + window or name in excluded:
            break
        if name in steps:
            found.add(name)
            if len(found) == len(set(steps)):
                return len(steps), at - start
    return len(found), None


_ATTEMPTS: dict[str, Callable[[list[Event], Sequence[str], float, frozenset[str]], Attempt]] = {
    "ordered": _ordered,
    "strict": _strict,
    "unordered": _unordered,
}
