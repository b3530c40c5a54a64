"""An arm as every test takes it: how many units, an estimate, and the variance of that estimate.

Statistics §3.2 to §3.4 and §3.6. Moments merge exactly by Chan, Golub and LeVeque's update.
"""

from collections.abc import Sequence
from math import fsum
from typing import TypedDict

import numpy as np


class Arm(TypedDict):
    """None stands for "not known": no units, or a variance that one unit cannot have."""

    n: int
    estimate: float | None
    variance_of_estimate: float | None


class ArmMoments(Arm):
    """An arm with the variance of a single unit's value beside it: s², of a share p(1 − p)."""

    variance: float | None


class Moments(TypedDict):
    """Of a part: how many values, their mean, and `m2`, the sum of squared distances to it."""

    n: int
    mean: float
    m2: float


class MergedMoments(TypedDict):
    """None where it is not known: the mean of no values, the variance (over n − 1) of one."""

    n: int
    mean: float | None
    variance: float | None


class Winsorized(TypedDict):
    """`capped` values of both arms lay above `cap`, which is None where none was applied. A mean
    is None for an arm without values."""

    cap: float | None
    capped: int
    mean_control: float | None
    mean_treatment: float | None


def arm_mean(*, n: int, sum: float, sum_squares: float) -> ArmMoments:  # noqa: A002  # §15 names it
    """An arm of a mean from sums: s² = max(0, (Σy² − (Σy)²/n) / (n − 1)), V = s²/n."""
    if n == 0:
        return _moments(0, None, None)
    if n == 1:
        return _moments(1, float(sum), None)
    return _moments(n, sum / n, max(0.0, (sum_squares - sum * sum / n) / (n - 1)))


def arm_proportion(*, n: int, successes: int) -> ArmMoments:
    """An arm of a share: p = k/n, V = p(1 − p)/n."""
    if n == 0:
        return _moments(0, None, None)
    share = successes / n
    return _moments(n, share, share * (1 - share) if n > 1 else None)


def _moments(n: int, estimate: float | None, variance: float | None) -> ArmMoments:
    return {
        "n": n,
        "estimate": estimate,
        "variance": variance,
        "variance_of_estimate": None if variance is None else variance / n,
    }


def merge_moments(*, parts: Sequence[Moments]) -> MergedMoments:
    """The moments of the whole from those of its parts; equals a computation over all values."""
    n, mean, m2 = 0, 0.0, 0.0
    for part in parts:
        if part["n"] == 0:
            continue
        total = n + part["n"]
        delta = part["mean"] - mean
        m2 += part["m2"] + delta * delta * n * part["n"] / total
        mean += delta * part["n"] / total
        n = total
    return {
        "n": n,
        "mean": mean if n else None,
        "variance": m2 / (n - 1) if n > 1 else None,
    }


def arm_ratio(*, numerator: Sequence[float], denominator: Sequence[float]) -> Arm:
    """An arm of Σa/Σb over units by the delta method: V = s²(a − R·b) / (n · b̄²) (§3.4)."""
    n = len(numerator)
    if len(denominator) != n:
        raise ValueError("numerator and denominator need a value of each unit")
    total = fsum(denominator)
    if n < 2 or total == 0:
        return {"n": n, "estimate": None, "variance_of_estimate": None}
    ratio = fsum(numerator) / total
    residuals = np.asarray(numerator, float) - ratio * np.asarray(denominator, float)
    spread = float(np.var(residuals, ddof=1))
    return {
        "n": n,
        "estimate": ratio,
        "variance_of_estimate": spread / (n * (total / n) ** 2),
    }


def winsorize(
    *, control: Sequence[float], treatment: Sequence[float], percentile: float
) -> Winsorized:
    """Means with values above a pooled quantile set to it; a cap of 0 or less is not applied."""
    pooled = [*control, *treatment]
    found = float(np.quantile(pooled, percentile)) if pooled else 0.0
    cap = found if found > 0 else None
    return {
        "cap": cap,
        "capped": sum(value > cap for value in pooled) if cap is not None else 0,
        "mean_control": _capped_mean(control, cap),
        "mean_treatment": _capped_mean(treatment, cap),
    }


def _capped_mean(values: Sequence[float], cap: float | None) -> float | None:
    if not values:
        return None
    return fsum(values if cap is None else [min(value, cap) for value in values]) / len(values)
