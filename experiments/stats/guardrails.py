"""Guardrails: not worse than a margin, and an alarm when something really gets worse (§5.6)."""

import math
from typing import Final, Literal, TypedDict

from experiments.stats.arms import Arm
from experiments.stats.comparison import Pair, pair_of
from experiments.stats.distributions import normal_quantile
from experiments.stats.sequential import FIXED_SHARE, SEQUENTIAL_SHARE, critical_one_sided

MIN_UNITS: Final = 200
Better = Literal["higher", "lower"]
MarginKind = Literal["absolute", "relative"]


class GuardrailResult(TypedDict, total=False):
    """Only `state` when it is `insufficient` or `not_estimable`."""

    state: str
    benefit: float
    slack: float
    slack_se: float


def guardrail(
    *,
    control: Arm,
    treatment: Arm,
    better: Better,
    margin: float,
    margin_kind: MarginKind,
    planned_n: float,
    final_look: bool,
    alpha_ni: float = 0.05,
    alpha_harm: float = 0.01,
    min_units: int = MIN_UNITS,
) -> GuardrailResult:
    """The state of one guardrail in one arm; the first row of the specification's table that holds.

    `alpha_harm` comes already divided by guardrails times arms.
    """
    if min(control["n"], treatment["n"]) < min_units:
        return {"state": "insufficient"}
    pair = pair_of(control, treatment)
    if isinstance(pair, str) or (margin_kind == "relative" and pair.m_c == 0):
        return {"state": "not_estimable"}
    benefit = pair.diff if better == "higher" else -pair.diff
    slack, slack_se = _slack(pair, better, margin, margin_kind)
    n, tune_n = pair.n_c + pair.n_t, planned_n / 2
    c_ni = critical_one_sided(alpha=SEQUENTIAL_SHARE * alpha_ni, n=n, tune_n=tune_n)
    c_harm = critical_one_sided(alpha=alpha_harm, n=n, tune_n=tune_n)
    is_harm = benefit + c_harm * pair.se < 0
    is_inside = slack - c_ni * slack_se > 0 or (
        final_look and slack > normal_quantile(1 - FIXED_SHARE * alpha_ni) * slack_se
    )
    if slack + c_harm * slack_se < 0:
        state = "breached"
    elif is_harm:
        state = "pass_with_cost" if is_inside else "degraded"
    else:
        state = "pass" if is_inside else "inconclusive"
    return {"state": state, "benefit": benefit, "slack": slack, "slack_se": slack_se}


def _slack(
    pair: Pair, better: Better, margin: float, margin_kind: MarginKind
) -> tuple[float, float]:
    """How far the arm is from the margin (positive: inside), and its standard error."""
    if margin_kind == "absolute":
        benefit = pair.diff if better == "higher" else -pair.diff
        return benefit + margin, pair.se
    step = math.copysign(margin, pair.m_c)
    k = 1 - step if better == "higher" else 1 + step
    slack = pair.m_t - k * pair.m_c if better == "higher" else k * pair.m_c - pair.m_t
    return slack, math.sqrt(pair.v_t + k * k * pair.v_c)
