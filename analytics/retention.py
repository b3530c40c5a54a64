"""Retention: who is active again, day by day after their start (statistics §10.3)."""

from collections.abc import Sequence
from typing import Final, Literal, TypedDict

DAY_SECONDS: Final = 86_400


class RetainedUnit(TypedDict):
    """A unit with when it started and was active, in seconds since 1970."""

    start: float
    activity: Sequence[float]


class RetentionDay(TypedDict):
    """One day after the start; `rate`, 0 to 1, is None while no unit is eligible."""

    day: int
    eligible: int
    retained: int
    rate: float | None


class Retention(TypedDict):
    days: list[RetentionDay]


def retention(
    *,
    units: Sequence[RetainedUnit],
    watermark: float,
    days: Sequence[int],
    mode: Literal["bounded", "unbounded"] = "bounded",
) -> Retention:
    """Eligible and retained units for each day asked for.

    A unit is eligible when its day has passed at the watermark. Bounded looks at the day itself,
    unbounded at all of the time from its beginning to the watermark.
    """
    return {"days": [_day(units, watermark, day, mode) for day in days]}


def _day(units: Sequence[RetainedUnit], watermark: float, day: int, mode: str) -> RetentionDay:
    eligible = retained = 0
    for unit in units:
        low = unit["start"] + DAY_SECONDS * day
        if low + DAY_SECONDS > watermark:
            continue
        eligible += 1
        high = low + DAY_SECONDS if mode == "bounded" else watermark
        retained += any(low <= at < high for at in unit["activity"])
    return {
        "day": day,
        "eligible": eligible,
        "retained": retained,
        "rate": retained / eligible if eligible else None,
    }
