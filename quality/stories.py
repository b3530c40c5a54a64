"""Why an alarm fired: the measured line around its opening, and what happened near it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from catalog.models import SchemaVersion
from ingest.log.alive import letters_alive_since
from ingest.models import DeadLetter
from ingest.selectors import health
from portal.http import words
from portal.kernel import clock
from quality.models import Alarm, Baseline, CheckKind
from quality.services.evaluation import VALIDITY_GOAL, expected_between

BEFORE: Final = timedelta(hours=6)
LONGEST: Final = timedelta(days=4)
_STEPS: Final = tuple(timedelta(minutes=m) for m in (5, 15, 30, 60))
_POINTS: Final = 96
_SPARSE: Final = 0.4


@dataclass(frozen=True, slots=True)
class Point:
    """One step: the measured value (None: nothing came) and what was expected, low and high."""

    at: datetime
    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at a moment: `icon` and `css` say of what kind."""

    at: datetime
    text: str
    icon: str
    css: str


@dataclass(frozen=True, slots=True)
class Story:
    """An alarm as a line: `limit` is the goal of a share; counts have an expected band instead."""

    alarm: Alarm
    points: Sequence[Point]
    step: timedelta
    is_share: bool
    limit: float | None
    marks: Sequence[Mark]
    unit: str
    first_bad: DeadLetter | None


def story_of(alarm: Alarm) -> Story:
    """The line of an alarm from six hours before it opened, four days at most; six queries."""
    start = _floor(alarm.opened_at - BEFORE)
    end = min(alarm.closed_at or clock.now(), start + LONGEST)
    step = next((step for step in _STEPS if (end - start) / step <= _POINTS), _STEPS[-1])
    if alarm.closed_at is not None:
        end = min(end + BEFORE / 2, clock.now())
    bins = _bins(alarm, start, end, step)
    if sum(not one.received for one in bins) > _SPARSE * len(bins):
        step = _STEPS[-1]
        bins = _bins(alarm, start, end, step)
    is_share = alarm.kind == CheckKind.VALIDITY
    baseline = None if is_share else Baseline.objects.filter(stream=alarm.stream_id).first()
    first_bad = _first_bad(alarm) if is_share else None
    return Story(
        alarm=alarm,
        points=[_point(one, is_share, baseline, step) for one in bins],
        step=step,
        is_share=is_share,
        limit=VALIDITY_GOAL if is_share else None,
        marks=_marks(alarm, start, end, first_bad),
        unit=f"in {words.duration(step.total_seconds())}",
        first_bad=first_bad,
    )


def _bins(alarm: Alarm, start: datetime, end: datetime, step: timedelta) -> list[health.Bin]:
    first = _floor(start, step)
    return health.bins(alarm.stream_id, start=first, end=_floor(end, step), step=step)


def _floor(moment: datetime, step: timedelta = timedelta(minutes=5)) -> datetime:
    """The last whole step before a moment: a step that is not over would look like a fall."""
    since = timedelta(hours=moment.hour, minutes=moment.minute, seconds=moment.second)
    return moment - since % step - timedelta(microseconds=moment.microsecond)


def _point(one: health.Bin, is_share: bool, baseline: Baseline | None, step: timedelta) -> Point:
    if is_share:
        return Point(one.start, one.bad / one.received if one.received else None)
    if baseline is None:
        return Point(one.start, float(one.accepted))
    expected = expected_between(baseline, one.start, one.start + step)
    low, high = expected_band(baseline, expected)
    return Point(one.start, float(one.accepted), low, high)


def expected_band(baseline: Baseline, expected: float) -> tuple[float, float]:
    """The expected range of a count: three deviations of ln(1 + x) on either side."""
    width = 3 * math.sqrt(baseline.scale**2 + 1 / max(expected, 1.0))
    middle = math.log1p(expected)
    return max(math.expm1(middle - width), 0.0), math.expm1(min(middle + width, 50.0))


def _first_bad(alarm: Alarm) -> DeadLetter | None:
    """The first event refused for the cause that the alarm fired of: seven days back at most."""
    letters = DeadLetter.objects.filter(
        stream_id=alarm.stream_id, received_at__gte=letters_alive_since()
    ).order_by("received_at")
    near = letters.filter(received_at__gte=alarm.opened_at - timedelta(hours=1)).first()
    if near is None:
        return None
    since = alarm.opened_at - timedelta(days=7)
    return letters.filter(received_at__gte=since, group_key=near.group_key).first()


def _marks(
    alarm: Alarm, start: datetime, end: datetime, first_bad: DeadLetter | None
) -> list[Mark]:
    """What happened in the stretch: releases, the first refusal, the alarm and its end."""
    releases = SchemaVersion.objects.filter(
        stream=alarm.stream_id, activated_at__gte=start, activated_at__lte=end
    ).order_by("activated_at")[:5]
    found = [
        Mark(row.activated_at, f"Version {row.version} released", "diff", "c-info")
        for row in releases
        if row.activated_at
    ]
    if first_bad is not None:
        found.append(
            Mark(first_bad.received_at, "First event refused for this cause", "up", "c-warn")
        )
    found.append(Mark(alarm.opened_at, "Alarm opened", "bell", "c-bad"))
    if alarm.closed_at is not None:
        found.append(Mark(alarm.closed_at, "Recovered", "check", "c-ok"))
    return sorted(found, key=lambda mark: mark.at)
