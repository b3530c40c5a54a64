"""Quantiles of values that are clustered in units (statistics §3.5; Liu et al.)."""

import math
from collections.abc import Sequence
from typing import Final, TypedDict

import numpy as np

Z: Final = 1.959964
MIN_TAIL: Final = 30
MIN_UNITS: Final = 100


class QuantileArm(TypedDict):
    """The bounds hold the estimate at 95 %; what is not known is None.

    `enough_data`: 30 values in the smaller tail and 100 units; without them there is no verdict.
    """

    n_units: int
    n_values: int
    estimate: float | None
    lower: float | None
    upper: float | None
    variance_of_estimate: float | None
    enough_data: bool


def quantile_arm(*, units: Sequence[Sequence[float]], q: float) -> QuantileArm:
    """The q-quantile of all values with the order statistics that bound it.

    The share below the estimate is a ratio over units, so its spread is the delta method's; the
    bounds are the values that far away in rank. Units without values are skipped.
    """
    clusters = [np.asarray(values, float) for values in units if len(values)]
    n_units = len(clusters)
    if not n_units:
        return _result(0, 0, None, None, None, q)
    values = np.sort(np.concatenate(clusters))
    n_values = len(values)
    estimate = float(np.quantile(values, q))
    if n_units < 2:
        return _result(n_units, n_values, estimate, None, None, q)
    counts = np.array([len(cluster) for cluster in clusters], float)
    below = np.array([np.count_nonzero(cluster <= estimate) for cluster in clusters], float)
    share = below.sum() / counts.sum()
    residuals = below - share * counts
    spread = math.sqrt(float(np.var(residuals, ddof=1)) / (n_units * float(counts.mean()) ** 2))
    low = min(max(1, math.floor(n_values * (q - Z * spread))), n_values)
    high = max(1, min(n_values, math.ceil(n_values * (q + Z * spread))))
    return _result(n_units, n_values, estimate, float(values[low - 1]), float(values[high - 1]), q)


def _result(
    n_units: int,
    n_values: int,
    estimate: float | None,
    lower: float | None,
    upper: float | None,
    q: float,
) -> QuantileArm:
    variance = None if lower is None or upper is None else ((upper - lower) / (2 * Z)) ** 2
    # The small allowance keeps 300 values at q 0.9 at the 30 that they are.
    enough = n_values * min(q, 1 - q) >= MIN_TAIL - 1e-9 and n_units >= MIN_UNITS
    return {
        "n_units": n_units,
        "n_values": n_values,
        "estimate": estimate,
        "lower": lower,
        "upper": upper,
        "variance_of_estimate": variance,
        "enough_data": enough,
    }
