"""Intervals that hold at every look, and the hybrid that decides (statistics §5.3, §5.4).

An asymptotic confidence sequence with a normal mixture (Waudby-Smith et al., "Time-uniform central
limit theory and asymptotic confidence sequences"). The tuning size only says where the sequence is
tightest. The hybrid spends 0.2 of α on the sequence and 0.8 on one fixed test at the planned end.
"""

import math
from typing import Final, TypedDict

from experiments.stats.arms import Arm
from experiments.stats.comparison import Pair, pair_of
from experiments.stats.distributions import t_quantile, t_two_sided

SEQUENTIAL_SHARE: Final = 0.2
FIXED_SHARE: Final = 0.8


def kappa(alpha: float) -> float:
    """κ(α) = −2 ln α + ln(1 − 2 ln α): the mixture that is tightest at the tuning size."""
    return -2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha))


def critical_two_sided(*, alpha: float, n: float, tune_n: float) -> float:
    """c(N): how many standard errors the two-sided sequence reaches at N units."""
    r = kappa(alpha) * n / tune_n
    return math.sqrt((1 + 1 / r) * (math.log1p(r) - 2 * math.log(alpha)))


def critical_one_sided(*, alpha: float, n: float, tune_n: float) -> float:
    """c₁(N) of the sequence that bounds one side only."""
    r = kappa(2 * alpha) * n / tune_n
    return math.sqrt(2 * (1 + 1 / r) * math.log1p(math.sqrt(1 + r) / (2 * alpha)))


def always_valid_p(*, z: float, alpha: float, n: float, tune_n: float) -> float:
    """The p-value that holds at every look; exactly 1 early on is normal."""
    r = kappa(alpha) * n / tune_n
    return math.exp(min(0.0, math.log1p(r) / 2 - r * z * z / (2 * (1 + r))))


class SequentialResult(TypedDict, total=False):
    """One-sided results have a lower bound of the difference only: no upper one and no p."""

    status: str
    critical: float | None
    diff: float | None
    lower: float | None
    upper: float | None
    p: float | None


def sequential(
    *, control: Arm, treatment: Arm, alpha: float, tune_n: float, one_sided: bool = False
) -> SequentialResult:
    """The difference with an interval that is valid at all looks together."""
    pair = pair_of(control, treatment)
    if isinstance(pair, str):
        empty: SequentialResult = {"status": pair, "critical": None, "diff": None, "lower": None}
        return empty if one_sided else {**empty, "upper": None, "p": None}
    n = pair.n_c + pair.n_t
    find = critical_one_sided if one_sided else critical_two_sided
    critical = find(alpha=alpha, n=n, tune_n=tune_n)
    reach = critical * pair.se
    result: SequentialResult = {
        "status": "ok",
        "critical": critical,
        "diff": pair.diff,
        "lower": pair.diff - reach,
    }
    if not one_sided:
        result["upper"] = pair.diff + reach
        result["p"] = always_valid_p(z=pair.diff / pair.se, alpha=alpha, n=n, tune_n=tune_n)
    return result


class DecisionResult(TypedDict):
    """`p_decision` is what is compared with α; `p_fixed` is None before the final look.

    The difference and its bounds are in the metric's unit. All numbers are None where `status` is
    not `ok`.
    """

    status: str
    diff: float | None
    p_sequential: float | None
    p_fixed: float | None
    p_decision: float | None
    lower: float | None
    upper: float | None
    significant: bool


def decision(
    *, control: Arm, treatment: Arm, alpha: float, planned_n: float, final_look: bool
) -> DecisionResult:
    """The value that decides: sequence at 0.2 α all along, one fixed test at 0.8 α at the end."""
    pair = pair_of(control, treatment)
    if isinstance(pair, str):
        return {
            "status": pair,
            "diff": None,
            "p_sequential": None,
            "p_fixed": None,
            "p_decision": None,
            "lower": None,
            "upper": None,
            "significant": False,
        }
    p_sequential = always_valid_p(
        z=pair.diff / pair.se,
        alpha=SEQUENTIAL_SHARE * alpha,
        n=pair.n_c + pair.n_t,
        tune_n=planned_n / 2,
    )
    p_fixed = t_two_sided(pair.diff / pair.se, pair.dof) if final_look else None
    p_decision = min(1.0, p_sequential / SEQUENTIAL_SHARE)
    if p_fixed is not None:
        p_decision = min(p_decision, p_fixed / FIXED_SHARE)
    reach = pair.se * hybrid_critical(pair, alpha=alpha, planned_n=planned_n, final_look=final_look)
    return {
        "status": "ok",
        "diff": pair.diff,
        "p_sequential": p_sequential,
        "p_fixed": p_fixed,
        "p_decision": p_decision,
        "lower": pair.diff - reach,
        "upper": pair.diff + reach,
        "significant": p_decision <= alpha,
    }


def hybrid_critical(pair: Pair, *, alpha: float, planned_n: float, final_look: bool) -> float:
    """The critical value in force: the sequence's, at the final look the smaller of both."""
    along = critical_two_sided(
        alpha=SEQUENTIAL_SHARE * alpha, n=pair.n_c + pair.n_t, tune_n=planned_n / 2
    )
    if not final_look:
        return along
    return min(along, t_quantile(1 - FIXED_SHARE * alpha / 2, pair.dof))
