"""How long events live: a stream's days, counted from the end of the day of the event's own time.

1. An event is expired once it is older than its stream's days: from then on nobody reads it.
2. A day of a stream is over when its last moment is expired, and an hour has passed in which what was
   let in just before may still be committed. From then on its rows may go, all of them.
3. A leaf is over when no stream may write into it any more: then it goes whole.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha1
from typing import Final

from catalog.models import Stream
from catalog.tracks import EXPERIMENTAL_RETENTION_DAYS, PRODUCTION_RETENTION_DAYS, track_at
from catalog.types import Track
from ingest.log import partitions
from ingest.log.connection import Connection
from ingest.log.partitions import start_of
from portal.kernel import clock

GRACE: Final = timedelta(hours=1)
ONE_DAY: Final = timedelta(days=1)
PRODUCTION: Final = 0
EXPERIMENTAL: Final = 1
# Streams that are not registered any more live as long as their track.
DEFAULT_DAYS: Final = {
    PRODUCTION: PRODUCTION_RETENTION_DAYS,
    EXPERIMENTAL: EXPERIMENTAL_RETENTION_DAYS,
}

DEAD_LETTER_DAYS: Final = 30
TRACK_OF: Final = {parent: track for track, parent in partitions.EVENT_PARENTS.items()}
WORDS: Final = {
    partitions.EVENT_PARENTS[PRODUCTION]: "production",
    partitions.EVENT_PARENTS[EXPERIMENTAL]: "experimental",
    partitions.DEAD_LETTERS: "dead_letters",
}


def ahead(link: Connection) -> dict[str, int]:
    """How many whole days after today there are, by table in words."""
    return {
        word: days_ahead(partitions.existing_days(link, parent)) for parent, word in WORDS.items()
    }


def days_ahead(days: Iterable[date]) -> int:
    """How many of these days follow today without a gap."""
    there, today, count = set(days), clock.now().date(), 0
    while today + ONE_DAY * (count + 1) in there:
        count += 1
    return count


@dataclass(frozen=True, slots=True)
class Life:
    """How long a stream's events live, and on which track a day of it lies."""

    stream_id: int
    name: str
    days: int
    is_production: bool
    moments: tuple[datetime, ...] = ()  # at which it moved from one track to the other
    archive: bool = False

    def may_lie_in(self, track: int, day: date) -> bool:
        """Whether events of a day may be on a track; both, on the day of a move."""
        start = start_of(day)
        if any(start <= moment < start + ONE_DAY for moment in self.moments):
            return True
        now = Track.PRODUCTION if self.is_production else Track.EXPERIMENTAL
        is_production = track_at(now, self.moments, start) == Track.PRODUCTION
        return is_production == (track == PRODUCTION)

    def is_over(self, day: date, now: datetime) -> bool:
        """Whether all events of a day have lived their time, the grace included."""
        return over_at(day, self.days) <= now


def over_at(day: date, days: int) -> datetime:
    """When a day of events that live so long may go."""
    return start_of(day) + ONE_DAY + timedelta(days=days) + GRACE


def lives() -> dict[int, Life]:
    """The life of every registered stream."""
    rows = Stream.objects.values_list(
        "pk", "name", "retention_days", "track", "track_moments", "archive"
    )
    return {
        pk: Life(pk, name, days, track == Track.PRODUCTION, tuple(moments), archive)
        for pk, name, days, track, moments, archive in rows
    }


def life_in(known: Mapping[int, Life], stream_id: int, track: int) -> Life:
    """A stream's life; of one that is not known, its track's default."""
    found = known.get(stream_id)
    return found or Life(stream_id, "", DEFAULT_DAYS[track], track == PRODUCTION)


def keepers(known: Iterable[Life], track: int, day: date, now: datetime) -> int:
    """How many streams may still write into a day of a track."""
    return sum(not life.is_over(day, now) and life.may_lie_in(track, day) for life in known)


class Swept:
    """A short name for the set of streams whose life in a day is over; alike for alike sets."""

    def __init__(self, known: Mapping[int, Life], now: datetime) -> None:
        self._by_days: dict[int, list[int]] = {}
        for life in known.values():
            self._by_days.setdefault(life.days, []).append(life.stream_id)
        for days in DEFAULT_DAYS.values():
            self._by_days.setdefault(days, []).append(0)
        self._now = now
        self._names: dict[int, str] = {}

    def of(self, day: date) -> str:
        """Empty when no stream's life in the day is over."""
        over = [days for days in self._by_days if over_at(day, days) <= self._now]
        if not over:
            return ""
        longest = max(over)
        if longest not in self._names:
            ids = sorted(pk for days in over for pk in self._by_days[days])
            said = ",".join(map(str, ids)).encode()
            self._names[longest] = sha1(said, usedforsecurity=False).hexdigest()
        return self._names[longest]
