"""CUPED: noise that a unit's own past explains is taken out (statistics §4; Deng et al. 2013)."""

import math
from collections.abc import Sequence
from typing import TypedDict

import numpy as np


class Cuped(TypedDict):
    """`diff` is treatment less control after the adjustment, `variance_reduction` the share of its
    variance that went.

    An arm without units has no estimate; with fewer than two in either arm there is no `se`.
    """

    theta: float
    estimate_control: float | None
    estimate_treatment: float | None
    diff: float | None
    se: float | None
    variance_reduction: float | None


def cuped(
    *,
    control_y: Sequence[float],
    control_x: Sequence[float],
    treatment_y: Sequence[float],
    treatment_x: Sequence[float],
) -> Cuped:
    """Both arms adjusted by one slope: y − θ(x − x̄), θ = cov(y, x) / var(x) over all units.

    A covariate that does not vary changes nothing (θ = 0).
    """
    if len(control_y) != len(control_x) or len(treatment_y) != len(treatment_x):
        raise ValueError("each unit needs a metric and a covariate")
    y_c, x_c = np.asarray(control_y, float), np.asarray(control_x, float)
    y_t, x_t = np.asarray(treatment_y, float), np.asarray(treatment_x, float)
    y, x = np.concatenate([y_c, y_t]), np.concatenate([x_c, x_t])
    centred = x - x.mean() if len(x) else x
    spread = float(centred @ centred)
    theta = float((y - y.mean()) @ centred) / spread if spread > 0 else 0.0
    centre = float(x.mean()) if len(x) else 0.0
    adjusted_c, adjusted_t = y_c - theta * (x_c - centre), y_t - theta * (x_t - centre)
    mean_c = float(adjusted_c.mean()) if len(y_c) else None
    mean_t = float(adjusted_t.mean()) if len(y_t) else None
    before, after = _variance(y_c, y_t), _variance(adjusted_c, adjusted_t)
    return {
        "theta": theta,
        "estimate_control": mean_c,
        "estimate_treatment": mean_t,
        "diff": None if mean_c is None or mean_t is None else mean_t - mean_c,
        "se": None if after is None else math.sqrt(after),
        "variance_reduction": 1 - after / before if before and after is not None else None,
    }


def _variance(control: np.ndarray, treatment: np.ndarray) -> float | None:
    """The variance of the difference of two means; None without two units in each arm."""
    if len(control) < 2 or len(treatment) < 2:
        return None
    return float(
        np.var(control, ddof=1) / len(control) + np.var(treatment, ddof=1) / len(treatment)
    )
