"""Reading the counts: series with zeros for gaps, for one stream or a page of streams."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from django.db.models import Sum

from analytics.models import ReaderOffset, StreamCount
from analytics.types import STREAM_COUNTS
from portal.kernel import clock, sql

WINDOW: Final = timedelta(minutes=5)
_ORIGIN: Final = datetime(2000, 1, 1, tzinfo=UTC)
_SERIES: Final = sql.load("analytics", "count_series")


@dataclass(frozen=True, slots=True)
class Point:
    """Events from `start` to before the next point."""

    start: datetime
    events: int


def series(stream_id: int, *, start: datetime, end: datetime, step: timedelta) -> list[Point]:
    """Events per step of one stream, oldest first, zeros where nothing came; end is exclusive.

    `step` is a multiple of five minutes; starts are aligned to it.
    """
    rows = sql.fetch_all(
        _SERIES,
        {"ids": [stream_id], "start": start, "end": end, "step": step, "origin": _ORIGIN},
    )
    return [Point(row["start"], int(row["events"])) for row in rows]


def daily(stream_ids: Iterable[int], *, days: int = 14) -> dict[int, list[int]]:
    """Events of the last stretches of 24 hours of several streams, oldest first; one query.

    The last one ends now, so that it is never a day half over: a line of days does not fall at its
    end each morning.
    """
    ids = list(stream_ids)
    if not ids:
        return {}
    end = _window_end()
    start = end - timedelta(days=days)
    rows = sql.fetch_all(
        _SERIES,
        {"ids": ids, "start": start, "end": end, "step": timedelta(days=1), "origin": start},
    )
    found: dict[int, list[int]] = {stream_id: [] for stream_id in ids}
    for row in rows:
        found[row["stream_id"]].append(int(row["events"]))
    return found


def last_day(stream_ids: Iterable[int]) -> dict[int, int]:
    """Events of the last 24 hours by stream, as `daily` has them; streams without any are absent."""
    since = _window_end() - timedelta(days=1)
    rows = (
        StreamCount.objects.filter(stream_id__in=list(stream_ids), start__gte=since)
        .values("stream_id")
        .annotate(total=Sum("events"))
    )
    return {row["stream_id"]: int(row["total"]) for row in rows}


def _window_end() -> datetime:
    """The end of the present window of five minutes."""
    now = clock.now()
    passed = timedelta(minutes=now.minute % 5, seconds=now.second, microseconds=now.microsecond)
    return now - passed + WINDOW


def rolled_up_at() -> datetime | None:
    """When the counts moved last."""
    offset = ReaderOffset.objects.filter(reader=STREAM_COUNTS).first()
    return offset.moved_at if offset is not None else None
