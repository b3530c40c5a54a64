"""Which track an event of a stream lies on: a function of the event's own time alone.

1. A stream has moments at which it moved, the oldest first, and a track, where it is after the last.
2. An event lies on that track when its own time is later than every moment. Each moment that is not
   earlier than its own time puts it on the other one.
3. A moment is never changed, and lies further ahead than any event that may have been let in before
   every process knows of it. So the answer is the same whoever gives it and whenever, and identity,
   which is looked for on one track only, stays exact.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings

from catalog.models import Stream
from catalog.types import CompatibilityMode, Track

PRODUCTION_RETENTION_DAYS: Final = 400
EXPERIMENTAL_RETENTION_DAYS: Final = 30

# Web processes are told at once. One that missed it goes by what it knew for ten seconds at most
# (`ingest.judging.admission`); the rest is for clocks that differ.
LEAD: Final = timedelta(seconds=30)
MAX_MOVES: Final = 100
_MINUTE: Final = timedelta(minutes=1)
# In production a candidate is compared with every active version: checking the last one only lets
# a field be removed and added again with another type in two harmless steps.
_TRANSITIVE: Final[Mapping[str, str]] = {
    CompatibilityMode.BACKWARD: CompatibilityMode.BACKWARD_TRANSITIVE,
    CompatibilityMode.FORWARD: CompatibilityMode.FORWARD_TRANSITIVE,
    CompatibilityMode.FULL: CompatibilityMode.FULL_TRANSITIVE,
}


@dataclass(frozen=True, slots=True)
class Moved:
    """What a stream is on the other track. Its retention grows where it was left at the default of
    the experimental track; back it stays: nothing that is stored goes sooner for a move."""

    retention_days: int
    compatibility_mode: str


def as_on(stream: Stream, track: str) -> Moved:
    """What goes with a move of a stream to a track."""
    days, mode = stream.retention_days, stream.compatibility_mode
    if track != Track.PRODUCTION:
        return Moved(days, mode)
    return Moved(
        PRODUCTION_RETENTION_DAYS if days == EXPERIMENTAL_RETENTION_DAYS else days,
        _TRANSITIVE.get(mode, mode),
    )


def quota_of(stream: Stream) -> int | None:
    """How many events a second a stream takes from all keys together; None: as many as their keys may
    send. One on the experimental track is never without a bound."""
    if stream.events_per_second is not None or stream.track == Track.PRODUCTION:
        return stream.events_per_second
    per_second: int = settings.INGEST_EXPERIMENTAL_EVENTS_PER_SECOND
    return per_second


def other(track: str) -> Track:
    """The track that is not this one."""
    return Track.EXPERIMENTAL if track == Track.PRODUCTION else Track.PRODUCTION


def track_at(track: str, moments: Sequence[datetime], at: datetime) -> Track:
    """Where an event of this own time lies, of a stream that is on `track` after its moments."""
    later = sum(moment >= at for moment in moments)
    return other(track) if later % 2 else Track(track)


def moment_of_move(
    now: datetime, *, ahead: timedelta, newest: datetime | None, last: datetime | None
) -> datetime:
    """The moment from which on events lie on the other track, a whole minute.

    `ahead` is how far ahead of the clock an event of the stream may be let in, `newest` the latest
    own time of those that are stored, `last` the moment of the move before.
    """
    least = max(now + ahead + LEAD, newest or now)
    if last is not None:
        least = max(least, last + _MINUTE)
    whole = least.replace(second=0, microsecond=0)
    return whole if whole == least else whole + _MINUTE
