"""Has the distribution of a field moved? PSI, Kolmogorov and Smirnov, Jensen and Shannon (§11.7)."""

import math
from collections.abc import Mapping, Sequence
from math import fsum
from typing import Final, TypedDict

import numpy as np
from scipy import special, stats

MIN_VALUES: Final = 200
_DECILES: Final = [step / 10 for step in range(1, 10)]


class PsiResult(TypedDict):
    """`level` is None below 200 values on a side, where the numbers are mostly chance."""

    psi: float | None
    bins: int | None
    warn_at: float | None
    alarm_at: float | None
    level: int | None


def psi(*, baseline: Sequence[float], current: Sequence[float]) -> PsiResult:
    """The population stability index over the distinct deciles of the baseline.

    A value equal to an edge belongs to the upper bin; with one edge only the bins are below, equal
    and above it.
    """
    if not baseline or not current:
        return _no_psi()
    edges = np.unique(np.quantile(baseline, _DECILES))
    if len(edges) == 1:
        return _psi(_around(baseline, float(edges[0])), _around(current, float(edges[0])))
    return _psi(_binned(baseline, edges), _binned(current, edges))


def psi_counts(
    *, baseline_counts: Mapping[str, int], current_counts: Mapping[str, int]
) -> PsiResult:
    """The same over categories, those of either side."""
    if not sum(baseline_counts.values()) or not sum(current_counts.values()):
        return _no_psi()
    names = sorted({*baseline_counts, *current_counts})
    return _psi(
        [baseline_counts.get(name, 0) for name in names],
        [current_counts.get(name, 0) for name in names],
    )


def _psi(baseline: Sequence[int], current: Sequence[int]) -> PsiResult:
    n, m, k = sum(baseline), sum(current), len(baseline)
    total = fsum(
        _drift((was + 0.5) / (n + k / 2), (now + 0.5) / (m + k / 2))
        for was, now in zip(baseline, current, strict=True)
    )
    # By chance alone the index times (1/n + 1/m)⁻¹ is χ² with one degree less than bins.
    chance = (1 / n + 1 / m) * np.asarray(special.chdtri(max(k - 1, 1), [0.01, 0.001]))
    warn_at, alarm_at = max(0.1, float(chance[0])), max(0.2, float(chance[1]))
    level: int | None = 2 if total >= alarm_at else 1 if total >= warn_at else 0
    if min(n, m) < MIN_VALUES:
        level = None
    return {"psi": total, "bins": k, "warn_at": warn_at, "alarm_at": alarm_at, "level": level}


def _no_psi() -> PsiResult:
    return {"psi": None, "bins": None, "warn_at": None, "alarm_at": None, "level": None}


def _drift(was: float, now: float) -> float:
    return (now - was) * math.log(now / was)


def _binned(values: Sequence[float], edges: np.ndarray) -> list[int]:
    places = np.searchsorted(edges, np.asarray(values, float), side="right")
    return [int(count) for count in np.bincount(places, minlength=len(edges) + 1)]


def _around(values: Sequence[float], edge: float) -> list[int]:
    below = sum(value < edge for value in values)
    equal = sum(value == edge for value in values)
    return [below, equal, len(values) - below - equal]


class KsResult(TypedDict):
    """`D` is the gap, 0 to 1; `level` 1 is a breach. None when a side is empty."""

    D: float | None
    p: float | None
    level: int | None


def ks(*, baseline: Sequence[float], current: Sequence[float]) -> KsResult:
    """The largest gap between two distributions of numbers with its asymptotic p.

    A breach needs a gap of 0.1 and p < 0.001: with many events p alone always alarms.
    """
    if not baseline or not current:
        return {"D": None, "p": None, "level": None}
    found = stats.ks_2samp(baseline, current, method="asymp")
    gap, p = float(found.statistic), float(found.pvalue)
    return {"D": gap, "p": p, "level": int(gap >= 0.1 and p < 0.001)}


class JsResult(TypedDict):
    """`level` is 1 from a distance of 0.1, 2 from 0.2. None when a side is empty."""

    distance: float | None
    level: int | None


def js_distance(
    *, baseline_counts: Mapping[str, int], current_counts: Mapping[str, int]
) -> JsResult:
    """The square root of the base-2 divergence of two sets of categories; 0 same, 1 disjoint."""
    n, m = sum(baseline_counts.values()), sum(current_counts.values())
    if not n or not m:
        return {"distance": None, "level": None}
    divergence = 0.0
    for name in {*baseline_counts, *current_counts}:
        was, now = baseline_counts.get(name, 0) / n, current_counts.get(name, 0) / m
        middle = (was + now) / 2
        divergence += fsum(
            share * math.log2(share / middle) / 2 for share in (was, now) if share > 0
        )
    distance = math.sqrt(max(0.0, divergence))
    return {"distance": distance, "level": 2 if distance >= 0.2 else 1 if distance >= 0.1 else 0}
