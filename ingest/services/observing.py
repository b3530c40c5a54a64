"""The keepers of the histograms: how fresh streams are, and what is thinned as it gets older."""

from datetime import timedelta
from typing import Final

from catalog.models import Stream
from ingest.log.connection import connect
from ingest.log.latencies import EVERYTHING, Histograms, Measure, add
from ingest.models import LatencyMinute
from ingest.times import us_of
from portal.kernel import clock, sql
from portal.kernel.log_buckets import bucket_of

# A stream that is silent for longer is not stale but dormant: it says nothing of the portal.
DORMANT: Final = timedelta(days=1)
MINUTES_KEPT: Final = timedelta(hours=2)
STREAMS_KEPT: Final = timedelta(days=8)
# How far back a run thins again what runs before it may have missed.
_AGAIN: Final = timedelta(hours=6)
_ONE_DAY: Final = timedelta(days=1)
_THIN: Final = sql.load("ingest", "thin_latencies")


def sample_freshness() -> int:
    """Note how old the newest event of each stream is that is not dormant; gives how many.

    Once a minute: so the percentiles of a stream are over time, those of everything over time and
    streams. The newest event is the newest one that readers of the log have met.
    """
    now = clock.now()
    minute = us_of(now.replace(second=0, microsecond=0))
    cells: Histograms = {}
    fresh = Stream.objects.filter(last_event_at__gte=now - DORMANT)
    for stream, newest in fresh.values_list("pk", "last_event_at"):
        if newest is not None:
            age = max(0, us_of(now) - us_of(newest))
            cells[stream, minute, Measure.FRESHNESS] = {bucket_of(age): 1}
    if cells:
        with connect() as connection:
            add(connection, cells)
    return len(cells)


def thin_latencies() -> None:
    """Keep minutes for two hours and hours for eight days; of everything, days for good."""
    now = clock.now()
    hour = (now - MINUTES_KEPT).replace(minute=0, second=0, microsecond=0)
    sql.execute(_THIN, {"start": hour - _AGAIN, "end": hour, "unit": "hour"})
    day = (now - STREAMS_KEPT).replace(hour=0, minute=0, second=0, microsecond=0)
    LatencyMinute.objects.filter(minute__lt=day).exclude(stream_id=EVERYTHING).delete()
    sql.execute(_THIN, {"start": day - 2 * _ONE_DAY, "end": day, "unit": "day"})
