"""The few distributions the tests need, as plain floats over scipy's special functions."""

import math

from scipy import special


def normal_cdf(z: float) -> float:
    """Φ(z): the share of a standard normal below z."""
    return float(special.ndtr(z))


def normal_quantile(q: float) -> float:
    """The z below which the share q of a standard normal lies."""
    return float(special.ndtri(q))


def normal_density(z: float) -> float:
    """φ(z): the density of a standard normal."""
    return math.exp(-z * z / 2) / math.sqrt(2 * math.pi)


def t_two_sided(t: float, dof: float) -> float:
    """The chance that Student's t lies farther out than t, on either side."""
    return 2 * float(special.stdtr(dof, -abs(t)))


def t_quantile(q: float, dof: float) -> float:
    """The t below which the share q of Student's t lies."""
    return float(special.stdtrit(dof, q))


def chi2_above(value: float, dof: int) -> float:
    """The chance that χ² lies above a value."""
    return float(special.chdtrc(dof, value))
