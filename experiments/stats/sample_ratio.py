"""Sample ratio mismatch: an uneven split says that something else differs between the arms (§6.1)."""

from collections.abc import Sequence
from math import fsum
from typing import Final, TypedDict

from experiments.stats.distributions import chi2_above

ALARM_P: Final = 0.001
WARNING_P: Final = 0.01
MIN_UNITS: Final = 100
MIN_EXPECTED: Final = 5


class SrmResult(TypedDict):
    """`status` is ok, warning, alarm or insufficient."""

    status: str
    chi2: float | None
    dof: int | None
    p: float | None


class Phase(TypedDict):
    """Units of all arms that came while these weights were in force: one an arm, of any scale."""

    units: int
    weights: Sequence[float]


def srm(*, observed: Sequence[int], weights: Sequence[float]) -> SrmResult:
    """Pearson's χ² of first exposures against the declared weights."""
    return srm_expected_phases(
        observed=observed, phases=[{"units": sum(observed), "weights": weights}]
    )


def srm_expected_phases(*, observed: Sequence[int], phases: Sequence[Phase]) -> SrmResult:
    """The same with expectations summed over phases whose weights differ.

    A unit in an arm that nobody should be in is an alarm by itself.
    """
    expected = [0.0] * len(observed)
    for phase in phases:
        total = fsum(phase["weights"])
        for arm, weight in enumerate(phase["weights"]):
            expected[arm] += phase["units"] * weight / total if total else 0.0
    weighted = [any(phase["weights"][arm] > 0 for phase in phases) for arm in range(len(observed))]
    if any(found and not open_ for found, open_ in zip(observed, weighted, strict=True)):
        return {"status": "alarm", "chi2": None, "dof": None, "p": 0.0}
    pairs = [
        (found, wanted)
        for found, wanted, open_ in zip(observed, expected, weighted, strict=True)
        if open_
    ]
    dof = max(len(pairs) - 1, 0)
    if dof < 1 or sum(observed) < MIN_UNITS or any(wanted < MIN_EXPECTED for _, wanted in pairs):
        return {"status": "insufficient", "chi2": None, "dof": dof, "p": None}
    chi2 = fsum((found - wanted) ** 2 / wanted for found, wanted in pairs)
    p = chi2_above(chi2, dof)
    status = "alarm" if p < ALARM_P else "warning" if p < WARNING_P else "ok"
    return {"status": status, "chi2": chi2, "dof": dof, "p": p}
