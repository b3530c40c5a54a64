"""The EWMA chart for shares and latencies that drift slowly, without seasons (statistics §11.6)."""

import math
from collections.abc import Sequence
from typing import Final, TypedDict

WEIGHT: Final = 0.2
REACH: Final = 3.0


class EwmaResult(TypedDict):
    """`first_out` is the 1-based place of the first value outside; None when all are inside."""

    ewma: float | None
    first_out: int | None
    limit_last: float | None


def ewma_chart(*, values: Sequence[float], center: float, sigma: float) -> EwmaResult:
    """The weighted mean after each value against limits that widen to their final breadth."""
    ewma = center
    first_out: int | None = None
    limit: float | None = None
    for tick, value in enumerate(values, start=1):
        ewma = WEIGHT * value + (1 - WEIGHT) * ewma
        growth = 1 - (1 - WEIGHT) ** (2 * tick)
        limit = REACH * sigma * math.sqrt(WEIGHT / (2 - WEIGHT) * growth)
        if first_out is None and abs(ewma - center) > limit:
            first_out = tick
    return {"ewma": ewma if values else None, "first_out": first_out, "limit_last": limit}
