"""One exposure a unit (statistics §2.2): the first one gives arm and anchor, repeats only count."""

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict


class ExposureEvent(TypedDict):
    """Those of a unit count in the order of `event_time`, then `ingest_id`; overrides never."""

    unit: str
    variant: str
    event_time: float
    ingest_id: int
    override: NotRequired[bool]


class ExposureCounts(TypedDict):
    """`first_counts` hold multi-exposed units under their first arm; `analysed_counts` do not."""

    units: int
    first_counts: dict[str, int]
    analysed_counts: dict[str, int]
    multi_exposed: int
    multi_rate: float | None


def exposures(*, events: Sequence[ExposureEvent], weights_bps: Mapping[str, int]) -> ExposureCounts:
    """Units by arm; a unit seen in two arms is left out of metrics but kept for the split."""
    first: dict[str, str] = {}
    crossed: set[str] = set()
    for event in sorted(events, key=lambda item: (item["event_time"], item["ingest_id"])):
        if event.get("override"):
            continue
        arm = first.setdefault(event["unit"], event["variant"])
        if arm != event["variant"]:
            crossed.add(event["unit"])
    first_counts = dict.fromkeys(weights_bps, 0)
    analysed_counts = dict.fromkeys(weights_bps, 0)
    for unit, arm in first.items():
        first_counts[arm] = first_counts.get(arm, 0) + 1
        analysed_counts[arm] = analysed_counts.get(arm, 0) + (unit not in crossed)
    return {
        "units": len(first),
        "first_counts": first_counts,
        "analysed_counts": analysed_counts,
        "multi_exposed": len(crossed),
        "multi_rate": len(crossed) / len(first) if first else None,
    }
