"""Several comparisons at once (statistics §5.5): Holm 1979, Benjamini and Hochberg 1995."""

from collections.abc import Sequence
from typing import Literal, TypedDict


class Adjusted(TypedDict):
    adjusted: list[float | None]


def adjust(*, p: Sequence[float | None], method: Literal["holm", "bh", "bonferroni"]) -> Adjusted:
    """Adjusted p-values in the order given; a comparison without p is no part of the family."""
    known = sorted((value, place) for place, value in enumerate(p) if value is not None)
    size = len(known)
    adjusted: list[float | None] = [None] * len(p)
    if method == "bh":
        best = 1.0
        for rank in range(size, 0, -1):
            value, place = known[rank - 1]
            best = min(best, value * size / rank)
            adjusted[place] = best
    elif method in {"holm", "bonferroni"}:
        worst = 0.0
        for rank, (value, place) in enumerate(known):
            factor = size - rank if method == "holm" else size
            worst = max(worst, min(1.0, value * factor))
            adjusted[place] = worst
    else:
        raise ValueError(f"unknown method {method}")
    return {"adjusted": adjusted}
