"""How many units, how small an effect, how many days (statistics §7)."""

import math
from collections.abc import Sequence
from typing import Final, Literal, TypedDict

from experiments.stats.distributions import normal_cdf, normal_quantile
from experiments.stats.sequential import FIXED_SHARE, kappa

Method = Literal["hybrid", "fixed", "sequential"]
ALPHA: Final = 0.05
POWER: Final = 0.8
MAX_DAYS: Final = 42
MIN_DAYS: Final = 7


class Sizes(TypedDict):
    """Units of each arm, rounded up."""

    n_control: int
    n_treatment: int


def needed_z(method: Method, alpha: float) -> float:
    """How many standard errors an effect needs to be found by a method."""
    if method == "fixed":
        return normal_quantile(1 - alpha / 2)
    if method == "hybrid":
        return normal_quantile(1 - FIXED_SHARE * alpha / 2)
    if method == "sequential":
        k = kappa(alpha)
        return math.sqrt((1 + 1 / k) * (math.log1p(k) - 2 * math.log(alpha)))
    raise ValueError(f"unknown method {method}")


def sample_size(
    *,
    variance_control: float,
    variance_treatment: float,
    delta: float,
    ratio: float = 1.0,
    alpha: float = ALPHA,
    power: float = POWER,  # the name of the specification
    method: Method = "hybrid",
    comparisons: int = 1,
    guardrails: int = 0,
) -> Sizes:
    """Units an arm needed to find a difference; `ratio` is treatment units per control unit."""
    z = needed_z(method, alpha / comparisons) + normal_quantile(1 - (1 - power) / (guardrails + 1))
    return _sizes(z * z * (variance_control + variance_treatment / ratio) / delta**2, ratio)


def sample_size_guardrail(
    *,
    mean_control: float,
    variance: float,
    margin: float,
    ratio: float = 1.0,
    alpha_ni: float = ALPHA,
    power: float = POWER,
    guardrails: int = 1,
) -> Sizes:
    """Units an arm needed to pass a relative guardrail when nothing changes."""
    z = normal_quantile(1 - FIXED_SHARE * alpha_ni) + normal_quantile(
        1 - (1 - power) / (guardrails + 1)
    )
    spread = (1 - margin) ** 2 * variance + variance / ratio
    return _sizes(z * z * spread / (margin * mean_control) ** 2, ratio)


def _sizes(n_control: float, ratio: float) -> Sizes:
    return {"n_control": math.ceil(n_control), "n_treatment": math.ceil(ratio * n_control)}


class SmallestEffect(TypedDict):
    """In the metric's unit, and as a share of the control's mean (None where that is 0)."""

    absolute: float
    relative: float | None


def mde(
    *,
    mean_control: float,
    variance: float,
    n_control: int,
    n_treatment: int,
    method: Method = "hybrid",
    variance_reduction: float = 0.0,
    alpha: float = ALPHA,
    power: float = POWER,
) -> SmallestEffect:
    """The smallest effect that these units find with the power asked for."""
    spread = variance * (1 - variance_reduction) * (1 / n_control + 1 / n_treatment)
    absolute = (needed_z(method, alpha) + normal_quantile(power)) * math.sqrt(spread)
    return {
        "absolute": absolute,
        "relative": absolute / abs(mean_control) if mean_control else None,
    }


class PowerResult(TypedDict):
    power: float


def power(
    *,
    delta: float,
    variance_control: float,
    variance_treatment: float,
    n_control: int,
    n_treatment: int,
    method: Method = "hybrid",
    alpha: float = ALPHA,
) -> PowerResult:
    """The chance that these units find a true difference."""
    z = needed_z(method, alpha)
    shift = abs(delta) / math.sqrt(variance_control / n_control + variance_treatment / n_treatment)
    return {"power": normal_cdf(shift - z) + normal_cdf(-shift - z)}


class DurationResult(TypedDict):
    """`infeasible` has no `days_planned`, and no `days_needed` where the units never come."""

    status: str
    days_needed: int | None
    days_planned: int | None


def duration(
    *,
    cumulative_units: Sequence[float],
    allocation: float,
    weight: float,
    needed_per_arm: float,
) -> DurationResult:
    """Days until the arm that needs longest has its units, in whole weeks for the plan.

    Distinct units grow by a power of time beyond the days measured.
    """
    needed = needed_per_arm / (allocation * weight) if allocation * weight > 0 else math.inf
    days = _days(cumulative_units, needed)
    if days is None:
        return {"status": "infeasible", "days_needed": None, "days_planned": None}
    planned = max(MIN_DAYS, math.ceil(days / 7) * 7)
    if planned > MAX_DAYS:
        return {"status": "infeasible", "days_needed": days, "days_planned": None}
    return {"status": "ok", "days_needed": days, "days_planned": planned}


def _days(cumulative: Sequence[float], needed: float) -> int | None:
    for day, units in enumerate(cumulative, start=1):
        if units >= needed * (1 - 1e-12):
            return day
    last = len(cumulative)
    if not last or cumulative[-1] <= 0 or math.isinf(needed):
        return None
    grown: float = last * (needed / cumulative[-1]) ** (1 / _growth(cumulative))
    return math.ceil(grown - 1e-9)


def _growth(cumulative: Sequence[float]) -> float:
    """γ: how distinct units grow with time, kept within 0.3 to 1."""
    last = len(cumulative)
    if last == 1:
        return 0.8
    half = max(1, last // 2)
    if cumulative[half - 1] <= 0:
        return 1.0
    found = math.log(cumulative[-1] / cumulative[half - 1]) / math.log(last / half)
    return min(1.0, max(0.3, found))
