"""Rate checks: a share is bad only when chance does not explain it (statistics §11.2, §11.8, §11.9)."""

import math
from typing import Final, TypedDict

Z_ONE_SIDED_99: Final = 2.326348
MIN_EVENTS: Final = 50


class RateResult(TypedDict):
    """`rate` and its `lower` bound are shares, 0 to 1; `level` is 0 (fine), 1 or 2, and None below
    50 events, as `lower` is."""

    level: int | None
    rate: float | None
    lower: float | None


def rate_check(*, bad: int, total: int, threshold: float) -> RateResult:
    """Level of a share of bad events against its threshold.

    The lower one-sided 99 % Wilson bound (Wilson 1927) must exceed the threshold (level 1) or five
    times it (level 2). Below 50 events there is no verdict.
    """
    if total <= 0:
        return {"level": None, "rate": None, "lower": None}
    rate = bad / total
    if total < MIN_EVENTS:
        return {"level": None, "rate": rate, "lower": None}
    lower = wilson_lower(bad, total, Z_ONE_SIDED_99)
    level = 2 if lower > 5 * threshold else 1 if lower > threshold else 0
    return {"level": level, "rate": rate, "lower": lower}


def wilson_lower(bad: int, total: int, z: float) -> float:
    """The lower end of Wilson's score interval for a share."""
    rate = bad / total
    centre = rate + z * z / (2 * total)
    spread = z * math.sqrt(rate * (1 - rate) / total + z * z / (4 * total * total))
    return (centre - spread) / (1 + z * z / total)


class BurnRate(TypedDict):
    """Burns are multiples of the pace that just uses up the budget; `firing` needs both windows
    above the factor, and ten bad events in the long one."""

    burn_short: float
    burn_long: float
    firing: bool


_MIN_BAD: Final = 10


def burn_rate(
    *, bad_short: int, total_short: int, bad_long: int, total_long: int, slo: float, factor: float
) -> BurnRate:
    """How fast an objective's budget burns in a short and a long window; no events burn nothing.

    `slo` is a share below 1: at 1 there is no budget to burn (statistics §11.8).
    """
    short = bad_short / total_short / (1 - slo) if total_short else 0.0
    long = bad_long / total_long / (1 - slo) if total_long else 0.0
    firing = bad_long >= _MIN_BAD and short > factor and long > factor
    return {"burn_short": short, "burn_long": long, "firing": firing}


class DropAccount(TypedDict):
    """Rates are shares, 0 to 1, None for no events. `level` is 2 when events were counted twice, 1
    when five or more and over 0.01 % are missing, None when nothing was received."""

    unaccounted: int
    loss_rate: float | None
    dead_letter_rate: float | None
    shed_rate: float | None
    drop_rate: float | None
    level: int | None


def drop_accounting(
    *, received: int, accepted: int, duplicate: int, dead_lettered: int, shed: int
) -> DropAccount:
    """Where a stream's events went: nothing may be unaccounted for, nor counted twice."""
    unaccounted = received - accepted - duplicate - dead_lettered
    offered = received + shed
    loss = unaccounted / received if received else None
    if unaccounted < 0:
        level: int | None = 2
    elif not received or loss is None:
        level = None
    else:
        level = 1 if unaccounted >= 5 and loss > 0.0001 else 0
    return {
        "unaccounted": unaccounted,
        "loss_rate": loss,
        "dead_letter_rate": dead_lettered / received if received else None,
        "shed_rate": shed / offered if offered else None,
        "drop_rate": (dead_lettered + shed + max(unaccounted, 0)) / offered if offered else None,
        "level": level,
    }
