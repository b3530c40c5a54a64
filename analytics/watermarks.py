"""How far event time is complete, and what lies behind or ahead of it (statistics §9.3)."""

from collections.abc import Sequence
from typing import Final, TypedDict

OUT_OF_ORDER_SECONDS: Final = 300
IDLE_SECONDS: Final = 600
ALLOWED_LATE_SECONDS: Final = 86_400


class Source(TypedDict):
    """What is known of one sender; both times in seconds since 1970."""

    name: str
    max_event_time: float
    last_received: float


class Watermark(TypedDict):
    """`watermark` in seconds since 1970; `idle` are the names of sources left out."""

    watermark: float
    idle: list[str]


def watermark(*, sources: Sequence[Source], now: float, previous: float | None) -> Watermark:
    """The moment before which hardly anything more is awaited; never moves backwards.

    A source that sent nothing for ten minutes is left out; with all of them idle the clock moves
    it.
    """
    idle = [row["name"] for row in sources if now - row["last_received"] > IDLE_SECONDS]
    active = [row for row in sources if row["name"] not in idle]
    if active:
        found = min(min(row["max_event_time"], row["last_received"]) for row in active)
    else:
        found = now - IDLE_SECONDS
    found -= OUT_OF_ORDER_SECONDS
    return {"watermark": found if previous is None else max(found, previous), "idle": idle}


class Lateness(TypedDict):
    """`effective_time` in seconds since 1970: the event's own, at most when it was received."""

    lane: str
    effective_time: float


def lateness(*, event_time: float, received_at: float, watermark: float) -> Lateness:
    """The lane of an event: future, on_time, late_update or too_late, and the time it counts at."""
    if event_time > received_at + OUT_OF_ORDER_SECONDS:
        return {"lane": "future", "effective_time": received_at}
    at = min(event_time, received_at)
    if at >= watermark:
        lane = "on_time"
    else:
        lane = "late_update" if watermark - at <= ALLOWED_LATE_SECONDS else "too_late"
    return {"lane": lane, "effective_time": at}
