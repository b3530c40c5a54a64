"""Volume against a seasonal baseline, silence, and robust z (statistics §11.3 to §11.5).

Counts are judged on y = ln(1 + x), so that a halving and a doubling weigh the same.
"""

import math
from collections.abc import Sequence
from statistics import fmean, median
from typing import Final, TypedDict

MAD_TO_SD: Final = 1.4826
MIN_SCALE: Final = 0.03
MIN_HISTORY: Final = 4
MIN_ROBUST: Final = 5


class VolumeResult(TypedDict):
    """`status` is ok, or warming_up while there is too little history: then the rest is None.
    `expected` is in events; `relative` is the share above it, negative below."""

    status: str
    expected: float | None
    z: float | None
    relative: float | None
    level: int | None


def volume_scale(*, residuals: Sequence[float], expected: Sequence[float]) -> dict[str, float]:
    """The noise of a stream beyond counting noise: s0 of §11.4, at least 0.03."""
    centre = median(residuals)
    mad = median(abs(value - centre) for value in residuals)
    counting = median(1 / max(value, 1.0) for value in expected)
    return {"scale": math.sqrt(max(MIN_SCALE**2, (MAD_TO_SD * mad) ** 2 - counting))}


def volume_bucket(
    *, slot_history: Sequence[float], level: float, scale: float, observed: float
) -> VolumeResult:
    """Judge one bucket by the counts of the same slot of the week before it."""
    if len(slot_history) < MIN_HISTORY:
        return {
            "status": "warming_up",
            "expected": None,
            "z": None,
            "relative": None,
            "level": None,
        }
    centre = median(math.log1p(value) for value in slot_history)
    return judge(math.exp(centre + level) - 1, centre + level, scale, observed)


def judge(expected: float, log_expected: float, scale: float, observed: float) -> VolumeResult:
    """Level of an observed count: 1 beyond 4 deviations and 20 %, 2 beyond 8 or a plain zero."""
    expected = max(expected, 0.0)
    z = (math.log1p(observed) - log_expected) / math.sqrt(scale**2 + 1 / max(expected, 1.0))
    relative = (observed + 1) / (expected + 1) - 1
    found = 0
    if abs(z) > 4 and abs(relative) >= 0.2:
        found = 2 if abs(z) > 8 or (observed == 0 and expected >= 20) else 1
    return {
        "status": "ok",
        "expected": expected,
        "z": z,
        "relative": relative,
        "level": found,
    }


class SilenceResult(TypedDict):
    """Scores are expected events since the last one, now and at most; `level` is of now."""

    score: float
    max_score: float
    level: int


def silence(*, expected: Sequence[float], counts: Sequence[int]) -> SilenceResult:
    """How unlikely the present silence is: the sum of expected counts since the last event.

    The chance of such a silence is e^-score: level 1 at 7, level 2 at 14.
    """
    score = most = 0.0
    for awaited, came in zip(expected, counts, strict=True):
        score = 0.0 if came else score + awaited
        most = max(most, score)
    return {"score": score, "max_score": most, "level": silence_level(score)}


def silence_level(score: float) -> int:
    """Level of a silence score: 7 is one in a thousand, 14 one in a million."""
    return 2 if score >= 14 else 1 if score >= 7 else 0


class RobustZ(TypedDict, total=False):
    """`z` in deviations from the median; None below five values, and where the history is constant
    and the value differs from it."""

    z: float | None
    median: float | None
    constant_history: bool


def robust_z(*, history: Sequence[float], value: float) -> RobustZ:
    """Distance from the median in robust deviations (Iglewicz and Hoaglin 1993)."""
    if len(history) < MIN_ROBUST:
        return {"z": None, "median": None}
    centre = median(history)
    deviations = [abs(item - centre) for item in history]
    mad = median(deviations)
    if mad:
        return {"z": 0.674490 * (value - centre) / mad, "median": centre}
    mean_deviation = fmean(deviations)
    if mean_deviation:
        return {"z": (value - centre) / (1.253314 * mean_deviation), "median": centre}
    return {
        "z": 0.0 if value == centre else None,
        "median": centre,
        "constant_history": True,
    }
