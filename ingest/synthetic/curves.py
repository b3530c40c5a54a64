"""How events lie in time: the curve of day and week, and what incidents make of it.

A curve weighs the 168 hours of a week from Monday, UTC, around 1. It is learned from what came in,
or declared: `day` (a peak in the afternoon, little by night) and `week` (a quieter weekend too).
"""

import math
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from portal.kernel.errors import InvalidError

LEARNED: Final = "learned"
FLAT: Final = "flat"
CURVES: Final = (LEARNED, "day", "week", FLAT)
VOLUME: Final = {"drop_out": 0.0, "spike": 5.0, "volume_shift": 0.5}
FIELD_FAULTS: Final = ("broken_field", "type_drift", "null_burst")
KINDS: Final = (*VOLUME, "late", "broken_field", "type_drift", "duplicate_storm", "null_burst")
ALIASES: Final = {"outage": "drop_out", "dip": "volume_shift"}
_PEAK_HOUR: Final = 15
_SWING: Final = 0.8
_WEEKEND: Final = 0.5
_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d)")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that goes wrong from `at` after the start, `lasts` long.

    `by` is the factor of a spike or shift; `place` the field (`/data/amount`) of a fault.
    """

    kind: str
    at: timedelta
    lasts: timedelta
    by: float | None = None
    place: str = ""

    def holds(self, after: timedelta) -> bool:
        """Whether it is under way so long after the start; its end is exclusive."""
        return self.at <= after < self.at + self.lasts

    @property
    def factor(self) -> float:
        """What the volume is multiplied by while it holds: 0 is silence, 1 changes nothing."""
        return self.by if self.by is not None else VOLUME.get(self.kind, 1.0)


def declared(curve: str) -> tuple[float, ...]:
    """The weights of a declared curve; none for the flat one."""
    if curve not in ("day", "week"):
        return ()
    day = [1 + _SWING * math.cos(2 * math.pi * (hour - _PEAK_HOUR) / 24) for hour in range(24)]
    weights = [
        weight * (_WEEKEND if curve == "week" and weekday >= 5 else 1.0)
        for weekday in range(7)
        for weight in day
    ]
    mean = sum(weights) / 168
    return tuple(weight / mean for weight in weights)


def read_span(text: str) -> timedelta:
    """`90s`, `10m`, `2h30m`, `1d`. Raises InvalidError."""
    parts = _SPAN.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise InvalidError(f"{text[:40]} is no span; say 90s, 10m or 2h30m.", code="span")
    return timedelta(seconds=sum(float(number) * _SECONDS[unit] for number, unit in parts))


def read_incident(text: str) -> Incident:
    """`KIND@AT+FOR`, as `spike@10m+5m`, with `x3` for a factor or `:/data/amount` for a field."""
    match = re.fullmatch(
        r"([a-z_]+)@([0-9.smhd]+)\+([0-9.smhd]+)(?:x(\d+(?:\.\d+)?))?(?::(/.*))?", text
    )
    kind = ALIASES.get(match[1], match[1]) if match is not None else ""
    if match is None or kind not in KINDS:
        raise InvalidError(
            f"{text[:60]} is no incident. Say KIND@AT+FOR, as spike@10m+5mx3 or "
            f"broken_field@10m+5m:/data/amount; kinds are {', '.join((*KINDS, *ALIASES))}.",
            code="incident",
        )
    return Incident(
        kind, read_span(match[2]), read_span(match[3]),
        float(match[4]) if match[4] else None, match[5] or "",
    )  # fmt: skip
