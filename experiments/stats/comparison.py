"""Two arms at one look: what may be compared at all, the difference, and the lift (§5, §5.1, §5.2).

Whatever status is not `ok` carries no numbers, but `unbounded`, which carries the lift.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, variance
from typing import TypedDict

from experiments.stats.arms import Arm
from experiments.stats.distributions import t_quantile, t_two_sided


@dataclass(frozen=True, slots=True)
class Pair:
    """Two arms with known estimates and variances, their sum above 0."""

    n_c: int
    n_t: int
    m_c: float
    m_t: float
    v_c: float
    v_t: float

    @property
    def diff(self) -> float:
        """Treatment less control, in the metric's unit."""
        return self.m_t - self.m_c

    @property
    def se(self) -> float:
        """The standard error of the difference: √(V_C + V_T) (§5.1)."""
        return math.sqrt(self.v_c + self.v_t)

    @property
    def dof(self) -> float:
        """Welch and Satterthwaite's degrees of freedom (Welch 1947)."""
        parts = self.v_c**2 / (self.n_c - 1) + self.v_t**2 / (self.n_t - 1)
        return (self.v_c + self.v_t) ** 2 / parts


def pair_of(control: Arm, treatment: Arm) -> Pair | str:
    """Both arms with their numbers, or the status that says why they cannot be compared."""
    if control["n"] < 2 or treatment["n"] < 2:
        return "too_few_units"
    m_c, m_t = control["estimate"], treatment["estimate"]
    v_c, v_t = control["variance_of_estimate"], treatment["variance_of_estimate"]
    if m_c is None or m_t is None or v_c is None or v_t is None:
        return "not_estimable"
    if v_c + v_t <= 0:
        return "zero_variance"
    return Pair(control["n"], treatment["n"], m_c, m_t, v_c, v_t)


class WelchResult(TypedDict):
    """Treatment less control in the metric's unit, a two-sided p, and the bounds of 1 − α."""

    status: str
    diff: float | None
    se: float | None
    dof: float | None
    p: float | None
    lower: float | None
    upper: float | None


def welch(*, control: Arm, treatment: Arm, alpha: float = 0.05) -> WelchResult:
    """The fixed-horizon test of a difference; valid at one look chosen in advance."""
    pair = pair_of(control, treatment)
    if isinstance(pair, str):
        return {
            "status": pair,
            "diff": None,
            "se": None,
            "dof": None,
            "p": None,
            "lower": None,
            "upper": None,
        }
    reach = t_quantile(1 - alpha / 2, pair.dof) * pair.se
    return {
        "status": "ok",
        "diff": pair.diff,
        "se": pair.se,
        "dof": pair.dof,
        "p": t_two_sided(pair.diff / pair.se, pair.dof),
        "lower": pair.diff - reach,
        "upper": pair.diff + reach,
    }


class LiftResult(TypedDict):
    """A lift and its bounds as shares: 0.02 is 2 %. An `unbounded` one has no bounds."""

    status: str
    lift: float | None
    lower: float | None
    upper: float | None


def lift_interval(*, control: Arm, treatment: Arm, critical: float) -> LiftResult:
    """The lift with Fieller's interval (1954) at the critical value in force.

    It holds 0 exactly when the test of the difference does not reject. `unbounded`: the control
    mean cannot be told from 0, so only the absolute difference may be shown.
    """
    pair = pair_of(control, treatment)
    if isinstance(pair, str):
        return {"status": pair, "lift": None, "lower": None, "upper": None}
    if pair.m_c == 0:
        return {"status": "control_zero", "lift": None, "lower": None, "upper": None}
    lift = pair.m_t / pair.m_c - 1
    square = critical * critical
    a = pair.m_c**2 - square * pair.v_c
    if a <= 0:
        return {"status": "unbounded", "lift": lift, "lower": None, "upper": None}
    b = pair.m_t * pair.m_c
    e = pair.m_t**2 - square * pair.v_t
    root = math.sqrt(max(0.0, b * b - a * e))
    return {
        "status": "ok",
        "lift": lift,
        "lower": (b - root) / a - 1,
        "upper": (b + root) / a - 1,
    }


class DeltaLiftResult(LiftResult):
    """A lift with its standard error, as shares."""

    se: float | None


def lift_interval_delta(*, control: Arm, treatment: Arm, alpha: float = 0.05) -> DeltaLiftResult:
    """The lift with the delta method's interval, for comparison with other engines only."""
    pair = pair_of(control, treatment)
    status = pair if isinstance(pair, str) else "control_zero" if pair.m_c == 0 else "ok"
    if isinstance(pair, str) or status != "ok":
        return {"status": status, "lift": None, "se": None, "lower": None, "upper": None}
    lift, se = pair.m_t / pair.m_c - 1, math.sqrt(lift_variance(pair))
    reach = t_quantile(1 - alpha / 2, pair.dof) * se
    return {
        "status": "ok",
        "lift": lift,
        "se": se,
        "lower": lift - reach,
        "upper": lift + reach,
    }


def lift_variance(pair: Pair) -> float:
    """The delta method's variance of a lift: V_T/m_C² + m_T²·V_C/m_C⁴."""
    return pair.v_t / pair.m_c**2 + pair.m_t**2 * pair.v_c / pair.m_c**4


class PairedResult(TypedDict):
    """Shadow less primary in the metric's unit, a two-sided p, and the bounds of 1 − α."""

    status: str
    mean_diff: float | None
    se: float | None
    p: float | None
    lower: float | None
    upper: float | None


def paired_shadow(
    *, primary: Sequence[float], shadow: Sequence[float], alpha: float = 0.05
) -> PairedResult:
    """The paired t test of what two paths say of the same units, shadow − primary (§5.8)."""
    if len(primary) != len(shadow):
        raise ValueError("each unit needs a value of both paths")
    gaps = [right - left for left, right in zip(primary, shadow, strict=True)]
    status = "too_few_units" if len(gaps) < 2 else "ok"
    se = math.sqrt(variance(gaps) / len(gaps)) if status == "ok" else 0.0
    if status == "ok" and se == 0:
        status = "zero_variance"
    if status != "ok":
        return {
            "status": status,
            "mean_diff": None,
            "se": None,
            "p": None,
            "lower": None,
            "upper": None,
        }
    mean, dof = fmean(gaps), len(gaps) - 1
    reach = t_quantile(1 - alpha / 2, dof) * se
    return {
        "status": "ok",
        "mean_diff": mean,
        "se": se,
        "p": t_two_sided(mean / se, dof),
        "lower": mean - reach,
        "upper": mean + reach,
    }
