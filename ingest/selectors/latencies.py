"""How long events take, out of the histograms of `ingest.log.latencies`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ingest.log.latencies import EVERYTHING, Measure
from portal.kernel import clock, log_buckets, soft_cache, sql

# What a step of an event's life should take at most, of a stream's events within the door.
JUDGE_SECONDS: Final = 0.25
COMMIT_SECONDS: Final = 0.25
READABLE_SECONDS: Final = 1.0
_EVERYTHING_SECONDS: Final = 15
_EVER_SECONDS: Final = 600
_SETTLING: Final = timedelta(hours=2)
_OF: Final = sql.load("ingest", "latencies")
_OF_MANY: Final = sql.load("ingest", "latencies_of_many")
_EPOCH: Final = datetime.fromisoformat("2000-01-01T00:00:00+00:00")
Histograms = Mapping[Measure, Mapping[int, int]]


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Of one measure, in seconds (events for `GROUP`); None for nothing. `events`: how many were
    counted, of larger groups by a sample."""

    events: int
    p50: float | None
    p95: float | None
    p99: float | None


def histograms(stream_id: int, since: datetime, until: datetime) -> dict[Measure, dict[int, int]]:
    """The histograms of a stream (0: everything); measures without a count are absent."""
    found: dict[Measure, dict[int, int]] = {}
    params = {"stream": stream_id, "since": since, "until": until}
    for row in sql.fetch_all(_OF, params):
        found.setdefault(Measure(row["measure"]), {})[row["bucket"]] = row["events"]
    return found


def of_stream(stream_id: int, last: timedelta = timedelta(hours=1)) -> dict[Measure, Percentiles]:
    """The percentiles of a stream's last hour, all measures of streams; one query."""
    now = clock.now()
    return _percentiles(histograms(stream_id, now - last, now + timedelta(minutes=1)))


def ages_of(stream_ids: Iterable[int], last: timedelta = timedelta(hours=1)) -> dict[int, float]:
    """From event time to readable, of 95 % of each stream's events of the last hour, in seconds;
    streams without any are absent. One query."""
    now = clock.now()
    rows = sql.fetch_all(
        _OF_MANY,
        {"streams": list(stream_ids), "measure": Measure.AGE.value, "since": now - last},
    )
    found: dict[int, dict[int, int]] = {}
    for row in rows:
        found.setdefault(row["stream_id"], {})[row["bucket"]] = row["events"]
    return {stream: (log_buckets.quantile(found[stream], 0.95) or 0.0) / 1e6 for stream in found}


def of_everything(last: timedelta = timedelta(hours=1)) -> dict[Measure, Percentiles]:
    """As `of_stream` of all streams together, a quarter of a minute old at most."""
    key = f"latencies:{last.total_seconds():.0f}"
    found: dict[Measure, Percentiles] | None = soft_cache.get(key)
    if found is None:
        found = of_stream(EVERYTHING, last)
        soft_cache.put(key, found, _EVERYTHING_SECONDS)
    return found


def ever() -> dict[Measure, dict[int, int]]:
    """Everything that was ever counted over all streams, for histograms that only rise."""
    quiet = (clock.now() - _SETTLING).replace(hour=0, minute=0, second=0, microsecond=0)
    key = f"latencies_before:{quiet:%Y%m%d}"
    settled: dict[Measure, dict[int, int]] | None = soft_cache.get(key)
    if settled is None:
        settled = histograms(EVERYTHING, _EPOCH, quiet)
        soft_cache.put(key, settled, _EVER_SECONDS)
    recent = histograms(EVERYTHING, quiet, clock.now() + timedelta(days=1))
    return {
        measure: log_buckets.merged(settled.get(measure, {}), recent.get(measure, {}))
        for measure in Measure
    }


def _percentiles(found: Histograms) -> dict[Measure, Percentiles]:
    return {measure: percentiles(found.get(measure, {}), measure) for measure in Measure}


def percentiles(counts: Mapping[int, int], measure: Measure) -> Percentiles:
    """Of one histogram: of microseconds in seconds, of `GROUP` in events."""
    unit = 1 if measure is Measure.GROUP else 1_000_000
    half, most, nearly = (
        None if value is None else value / unit
        for value in (log_buckets.quantile(counts, share) for share in (0.5, 0.95, 0.99))
    )
    return Percentiles(log_buckets.total(counts), half, most, nearly)
