"""Learning what is expected of each stream, from ingest's accounts of the last six weeks.

Vectorized over streams: one array of hours, medians over the same slot of the week with its two
neighbours on each side. Hours inside an alarm are left out, so that an outage does not teach the
baseline that outages are normal. The formulas are those of `quality.volume`.
"""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import numpy as np
from django.db import transaction
from numpy.typing import NDArray

from catalog.models import Stream
from portal.kernel import clock, sql
from quality.models import Alarm, Baseline
from quality.volume import MAD_TO_SD, MIN_HISTORY, MIN_SCALE

WEEKS: Final = 6
HOURS: Final = WEEKS * 168
SLOTS: Final = 168
NEIGHBOURS: Final = 2
CHUNK: Final = 500
MIN_DAYS: Final = 3
_HOURLY: Final = sql.load("quality", "hourly_accepted")
Floats = NDArray[np.float64]


def learn_baselines(at: datetime | None = None, *, track: str | None = None) -> int:
    """Learn the baseline of every receiving stream, or of those of a track, as of a full hour; gives
    how many were learned."""
    end = (at or clock.now()).replace(minute=0, second=0, microsecond=0)
    streams = Stream.objects.filter(lifecycle__in=("active", "deprecated"))
    if track is not None:
        streams = streams.filter(track=track)
    ids = list(streams.order_by("pk").values_list("pk", flat=True))
    learned = 0
    for first in range(0, len(ids), CHUNK):
        learned += _learn(ids[first : first + CHUNK], end)
    return learned


def _learn(ids: Sequence[int], end: datetime) -> int:
    start = end - timedelta(hours=HOURS)
    counts = _counts(ids, start, end)
    rows = []
    for index, stream_id in enumerate(ids):
        found = baseline_of(counts[index], slot_of(start))
        if found is not None:
            profile, level, scale, hours = found
            rows.append(Baseline(
                stream_id=stream_id, profile=profile, level=level, scale=scale, hours=hours,
                hourly_means=hourly_means(counts[index], start.hour), learned_at=end,
            ))  # fmt: skip
    with transaction.atomic():
        Baseline.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["stream"],
            update_fields=["profile", "hourly_means", "level", "scale", "hours", "learned_at"],
        )
    return len(rows)


def _counts(ids: Sequence[int], start: datetime, end: datetime) -> Floats:
    """Accepted events per stream and hour; NaN before a stream's first event and inside alarms."""
    counts = np.zeros((len(ids), HOURS))
    place = {stream_id: index for index, stream_id in enumerate(ids)}
    first = np.full(len(ids), HOURS)
    for row in sql.fetch_all(_HOURLY, {"ids": list(ids), "start": start, "end": end}):
        index, hour = place[row["stream_id"]], row["hour"]
        counts[index, hour] = row["accepted"]
        if row["accepted"]:
            first[index] = min(first[index], hour)
    for index in range(len(ids)):
        counts[index, : first[index]] = np.nan
    alarms = Alarm.objects.filter(stream_id__in=ids, kind__in=("volume", "freshness")).exclude(
        closed_at__lt=start
    )
    for alarm in alarms:
        begin = int((alarm.opened_at - start).total_seconds() // 3600)
        until = alarm.closed_at or end
        stop = math.ceil((until - start).total_seconds() / 3600)
        counts[place[alarm.stream_id], max(begin, 0) : max(stop, 0)] = np.nan
    return counts


def slot_of(moment: datetime) -> int:
    """The hour of the week, Monday 00:00 UTC being 0."""
    return moment.weekday() * 24 + moment.hour


def baseline_of(counts: Floats, first_slot: int) -> tuple[list[float], float, float, int] | None:
    """Profile, level and scale of one stream's hours; None before three days of history."""
    known = int(np.count_nonzero(~np.isnan(counts)))
    if known < MIN_DAYS * 24:
        return None
    logs = np.log1p(counts)
    slots = (np.arange(counts.size) + first_slot) % SLOTS
    weekly = np.full((SLOTS, WEEKS), np.nan)
    weekly[slots, np.arange(counts.size) // SLOTS] = logs
    profile = _slot_medians(weekly)
    thin = np.isnan(profile)
    if thin.any():
        daily = logs.reshape(-1)
        by_hour = np.array([_median(daily[slots % 24 == hour]) for hour in range(24)])
        profile[thin] = by_hour[np.arange(SLOTS)[thin] % 24]
    residuals = logs - profile[slots]
    last_day = residuals[-25:-1]
    level = float(np.clip(_median(last_day, 0.0), -0.5, 0.5))
    fortnight = residuals[-14 * 24 :]
    expected = np.expm1(profile[slots][-14 * 24 :])
    return profile.tolist(), level, _scale(fortnight, expected), known


def hourly_means(counts: Floats, first_hour: int) -> list[float]:
    """Mean events per hour of the day over the last two weeks; 0 for hours never seen."""
    recent = counts[-14 * 24 :]
    hours = (np.arange(recent.size) + first_hour + counts.size - recent.size) % 24
    means = []
    for hour in range(24):
        known = recent[hours == hour]
        known = known[~np.isnan(known)]
        means.append(float(known.mean()) if known.size else 0.0)
    return means


def _slot_medians(weekly: Floats) -> Floats:
    """Median over weeks of each slot with its neighbours; NaN with fewer than four values."""
    near = np.concatenate(
        [np.roll(weekly, shift, axis=0) for shift in range(-NEIGHBOURS, NEIGHBOURS + 1)], axis=1
    )
    enough = np.count_nonzero(~np.isnan(near), axis=1) >= MIN_HISTORY
    enough &= np.count_nonzero(~np.isnan(weekly), axis=1) >= 2  # one week says nothing of weeks
    profile = np.full(SLOTS, np.nan)
    if enough.any():
        profile[enough] = np.nanmedian(near[enough], axis=1)
    return profile


def _median(values: Floats, default: float = math.nan) -> float:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if known.size else default


def _scale(residuals: Floats, expected: Floats) -> float:
    known = ~np.isnan(residuals)
    if not known.any():
        return MIN_SCALE
    values = residuals[known]
    mad = float(np.median(np.abs(values - np.median(values))))
    counting = float(np.median(1 / np.maximum(expected[known], 1.0)))
    return math.sqrt(max(MIN_SCALE**2, (MAD_TO_SD * mad) ** 2 - counting))
