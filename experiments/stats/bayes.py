"""The Bayesian view: shown, never decides on its own (statistics §5.7)."""

import math
from typing import Final, Literal, TypedDict

import numpy as np
from scipy import special

from experiments.stats.arms import Arm
from experiments.stats.comparison import lift_variance, pair_of
from experiments.stats.distributions import normal_cdf, normal_density

PRIOR_SD: Final = 0.3
Z: Final = 1.959964


class NormalPosterior(TypedDict):
    """What prior and data say together; all numbers are None where `status` is not `ok`.

    Mean, sd, risks and bounds are shares (0.02 is a lift of 2 %), on the absolute scale in the
    metric's unit; the bounds hold 95 %. `chance_to_win` is 0 to 1, the risks are the loss to be
    expected of shipping and of keeping.
    """

    status: str
    posterior_mean: float | None
    posterior_sd: float | None
    chance_to_win: float | None
    risk_ship: float | None
    risk_keep: float | None
    lower: float | None
    upper: float | None


def bayes_normal(
    *,
    control: Arm,
    treatment: Arm,
    prior_mean: float = 0.0,
    prior_sd: float | None = PRIOR_SD,
    better: Literal["higher", "lower"] = "higher",
    scale: Literal["relative", "absolute"] = "relative",
) -> NormalPosterior:
    """The posterior of the effect under a normal prior; `prior_sd` None is a flat one.

    The prior is of the lift; on the absolute scale it is multiplied by the control's mean.
    """
    pair = pair_of(control, treatment)
    if isinstance(pair, str):
        return _no_posterior(pair)
    if pair.m_c == 0 and (scale == "relative" or prior_sd is not None):
        return _no_posterior("control_zero")
    if scale == "relative":
        effect, spread, unit = pair.m_t / pair.m_c - 1, lift_variance(pair), 1.0
    else:
        effect, spread, unit = pair.diff, pair.v_c + pair.v_t, abs(pair.m_c)
    mean, precision = effect, 1 / spread
    if prior_sd is not None:
        weight = 1 / (prior_sd * unit) ** 2
        precision += weight
        mean = (prior_mean * unit * weight + effect / spread) / precision
    sd = math.sqrt(1 / precision)
    gain = mean if better == "higher" else -mean
    density = sd * normal_density(gain / sd)
    return {
        "status": "ok",
        "posterior_mean": mean,
        "posterior_sd": sd,
        "chance_to_win": normal_cdf(gain / sd),
        "risk_ship": density - gain * normal_cdf(-gain / sd),
        "risk_keep": density + gain * normal_cdf(gain / sd),
        "lower": mean - Z * sd,
        "upper": mean + Z * sd,
    }


def _no_posterior(status: str) -> NormalPosterior:
    return {
        "status": status,
        "posterior_mean": None,
        "posterior_sd": None,
        "chance_to_win": None,
        "risk_ship": None,
        "risk_keep": None,
        "lower": None,
        "upper": None,
    }


class BetaPosterior(TypedDict):
    """P(p_T > p_C) and the means of both posteriors, each from 0 to 1."""

    chance_to_win: float
    mean_control: float
    mean_treatment: float


def bayes_beta_binomial(
    *, control_success: int, control_n: int, treatment_success: int, treatment_n: int
) -> BetaPosterior:
    """P(p_T > p_C) of Beta(1 + k, 1 + n − k) arms, exactly, as a finite sum of beta functions.

    P = Σ_{i < a_T} B(a_C + i, b_C + b_T) / ((b_T + i) · B(1 + i, b_T) · B(a_C, b_C)).
    """
    a_c, b_c = 1 + control_success, 1 + control_n - control_success
    a_t, b_t = 1 + treatment_success, 1 + treatment_n - treatment_success
    steps = np.arange(a_t, dtype=float)
    logs = (
        special.betaln(a_c + steps, float(b_c + b_t))
        - np.log(b_t + steps)
        - special.betaln(1 + steps, float(b_t))
        - special.betaln(float(a_c), float(b_c))
    )
    return {
        "chance_to_win": min(1.0, float(np.exp(logs).sum())),
        "mean_control": a_c / (a_c + b_c),
        "mean_treatment": a_t / (a_t + b_t),
    }
