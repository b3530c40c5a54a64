"""How ingest is doing, from its per-minute accounts.

The figures of a whole day read every account of that day, so they are shared by all who look and
kept for half a minute.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import BigIntegerField, QuerySet, Sum
from django.db.models.functions import Cast

from catalog.models import Producer, Stream
from catalog.selectors.streams import visible_streams
from ingest.log.alive import letters_alive_since
from ingest.models import DiscoveredStream, IngestMinute, LetterTotal
from ingest.selectors import latencies
from ingest.selectors.discovered import open_types
from portal.kernel import clock, soft_cache, sql
from portal.kernel.actor import Actor

GOAL: Final = 0.999
BAD: Final = 0.05
_STRIP_MINUTES: Final = 60
_SETTLING: Final = timedelta(hours=2)
_SETTLED_SECONDS: Final = 3600
BINS: Final = 24
BIN: Final = timedelta(hours=1)
DAY: Final = BINS * BIN
_DAY_SECONDS: Final = 30
_ACCOUNT_BINS: Final = sql.load("ingest", "account_bins")
_STREAM_BINS: Final = sql.load("ingest", "stream_bins")


@dataclass(frozen=True, slots=True)
class Totals:
    """Events of one stretch of time: received = accepted + duplicate + dead-lettered."""

    received: int = 0
    accepted: int = 0
    duplicate: int = 0
    dead_lettered: int = 0

    @property
    def accepted_ratio(self) -> float | None:
        """Accepted and duplicates over received: what was not refused. None for nothing."""
        if not self.received:
            return None
        return (self.accepted + self.duplicate) / self.received

    def plus(self, other: "Totals") -> "Totals":
        return Totals(
            self.received + other.received,
            self.accepted + other.accepted,
            self.duplicate + other.duplicate,
            self.dead_lettered + other.dead_lettered,
        )


def state_of(received: int, refused: int) -> str:
    """A stretch of time on the calm strip: ok, warn or bad by the share refused, none for nothing."""
    if not received:
        return "none"
    share = refused / received
    return "bad" if share > BAD else "warn" if share > 1 - GOAL else "ok"


def said(states: Sequence[str], noun: str = "hours") -> str:
    """A calm strip in words, for who cannot see it."""
    troubled = sum(state in ("warn", "bad") for state in states)
    silent = sum(state == "none" for state in states)
    if silent == len(states):
        return "nothing came."
    if not troubled:
        return "nothing was refused beyond the goal."
    return f"refused beyond the goal in {troubled} of {len(states)} {noun}."


@dataclass(frozen=True, slots=True)
class Source:
    """One producer over the last day: its calm strip, and its last hour."""

    producer: str
    strip: Sequence[str]
    day: Totals
    hour: Totals

    @property
    def said(self) -> str:
        """Its name and its calm strip in words, for who cannot see the strip."""
        return f"{self.producer or 'Unknown'}, last 24 hours: {said(self.strip)}"

    @property
    def is_unwell(self) -> bool:
        """Whether its last hour is below the goal."""
        ratio = self.hour.accepted_ratio
        return ratio is not None and ratio < GOAL


@dataclass(frozen=True, slots=True)
class Day:
    """The last 24 hours, an hour a bin: what came in all, and by source, the most refused first."""

    totals: Totals
    accepted: Sequence[int]
    sources: Sequence[Source]


@dataclass(frozen=True, slots=True)
class Minute:
    """One minute over all streams; duplicates are left out."""

    minute: datetime
    accepted: int
    dead_lettered: int

    @property
    def state(self) -> str:
        """For the calm strip: trouble is tall."""
        return state_of(self.accepted + self.dead_lettered, self.dead_lettered)


@dataclass(frozen=True, slots=True)
class Bin:
    """One stream in one stretch of time; `bad` broke the contract, refused or not."""

    start: datetime
    received: int = 0
    accepted: int = 0
    bad: int = 0


def totals(since: timedelta) -> Totals:
    """What was received since then, over all streams."""
    return _sum(IngestMinute.objects.filter(minute__gte=clock.now() - since))


def _sum(rows: QuerySet[IngestMinute]) -> Totals:
    row = rows.aggregate(
        received=Sum("received", default=0),
        accepted=Sum("accepted", default=0),
        duplicate=Sum("duplicate", default=0),
        dead_lettered=Sum("dead_lettered", default=0),
    )
    return Totals(**{name: int(value) for name, value in row.items()})


def totals_ever() -> Totals:
    """Everything ever received, for counters that only rise.

    Days that nothing more is added to are summed once an hour, the rest now. What an import adds to
    a day long past shows within the hour.
    """
    quiet = (clock.now() - _SETTLING).replace(hour=0, minute=0, second=0, microsecond=0)
    key = f"ingest_totals_before:{quiet:%Y%m%d}"
    settled: Totals | None = soft_cache.get(key)
    if settled is None:
        settled = _sum(IngestMinute.objects.filter(minute__lt=quiet))
        soft_cache.put(key, settled, _SETTLED_SECONDS)
    recent = _sum(IngestMinute.objects.filter(minute__gte=quiet))
    return Totals(
        received=settled.received + recent.received,
        accepted=settled.accepted + recent.accepted,
        duplicate=settled.duplicate + recent.duplicate,
        dead_lettered=settled.dead_lettered + recent.dead_lettered,
    )


def open_dead_letters() -> dict[str, int]:
    """Dead letters that nobody has settled, by reason; kept for a minute."""
    found: dict[str, int] | None = soft_cache.get("open_dead_letters")
    if found is None:
        rows = (
            LetterTotal.objects.filter(state="open", last_at__gte=letters_alive_since())
            .values("reason")
            .annotate(n=Cast(Sum("letters"), BigIntegerField()))
        )
        found = {row["reason"]: row["n"] for row in rows.order_by("reason") if row["n"]}
        soft_cache.put("open_dead_letters", found, 60)
    return found


def last_day() -> Day:
    """The last 24 hours, at most half a minute old."""
    found: Day | None = soft_cache.get("ingest_day")
    if found is None:
        found = _last_day()
        soft_cache.put("ingest_day", found, _DAY_SECONDS)
    return found


def _last_day(limit: int = 20) -> Day:
    end = _next_minute()
    start = end - DAY
    by_source: dict[int, list[Totals]] = {}
    for row in sql.fetch_all(_ACCOUNT_BINS, {"start": start, "end": end, "step": BIN}):
        bins = by_source.setdefault(row["producer_id"], [Totals()] * BINS)
        bins[(row["start"] - start) // BIN] = Totals(
            row["received"], row["accepted"], row["duplicate"], row["dead_lettered"]
        )
    days = {source: sum_of(bins) for source, bins in by_source.items()}
    ranked = sorted(days, key=lambda source: (-days[source].dead_lettered, -days[source].received))
    shown = ranked[:limit]
    names = dict(Producer.objects.filter(pk__in=shown).values_list("pk", "name"))
    hours = hour_of(shown)
    return Day(
        totals=sum_of(days.values()),
        accepted=[sum(bins[n].accepted for bins in by_source.values()) for n in range(BINS)],
        sources=[
            Source(
                producer=names.get(source, ""),
                strip=[state_of(one.received, one.dead_lettered) for one in by_source[source]],
                day=days[source],
                hour=hours.get(source, Totals()),
            )
            for source in shown
        ],
    )


def sum_of(many: Iterable[Totals]) -> Totals:
    """The sum of many; zeros for none."""
    total = Totals()
    for one in many:
        total = total.plus(one)
    return total


def hour_of(producers: Sequence[int]) -> dict[int, Totals]:
    """What each of these producers sent in the last hour."""
    rows = (
        IngestMinute.objects.filter(
            minute__gte=clock.now() - timedelta(hours=1), producer_id__in=producers
        )
        .values("producer_id")
        .annotate(r=Sum("received"), a=Sum("accepted"), d=Sum("duplicate"), x=Sum("dead_lettered"))
    )
    return {
        row["producer_id"]: Totals(int(row["r"]), int(row["a"]), int(row["d"]), int(row["x"]))
        for row in rows
    }


def senders(stream_id: int) -> list[tuple[str, float]]:
    """Who sent a stream's events of the last 24 hours, with their shares, the largest first."""
    rows = list(
        IngestMinute.objects.filter(
            stream_id=stream_id, minute__gte=clock.now() - timedelta(days=1), received__gt=0
        )
        .values("producer_id")
        .annotate(received=Sum("received"))
        .order_by("-received")[:20]
    )
    names = dict(
        Producer.objects.filter(pk__in=[row["producer_id"] for row in rows]).values_list(
            "pk", "name"
        )
    )
    total = sum(row["received"] for row in rows)
    return [
        (names[row["producer_id"]], float(row["received"] / total))
        for row in rows
        if row["producer_id"] in names
    ]


def sent(stream_ids: Iterable[int]) -> dict[tuple[int, int], int]:
    """Events accepted in the last 24 hours by stream and producer; pairs without any are absent.

    One range of the accounts' primary key a stream, in one query.
    """
    ids = list(stream_ids)
    if not ids:
        return {}
    rows = (
        IngestMinute.objects.filter(
            stream_id__in=ids, minute__gte=clock.now() - DAY, accepted__gt=0
        )
        .values("stream_id", "producer_id")
        .annotate(events=Sum("accepted"))
    )
    return {(row["stream_id"], row["producer_id"]): int(row["events"]) for row in rows}


def strips(stream_ids: Iterable[int]) -> dict[int, list[str]]:
    """The calm strip of each stream over the last 24 hours, oldest first; one query."""
    ids = list(stream_ids)
    end = _next_minute()
    found = {stream_id: ["none"] * BINS for stream_id in ids}
    if not ids:
        return found
    start = end - DAY
    params = {"ids": ids, "start": start, "end": end, "step": BIN}
    for row in sql.fetch_all(_STREAM_BINS, params):
        place = (row["start"] - start) // BIN
        found[row["stream_id"]][place] = state_of(row["received"], row["dead_lettered"])
    return found


def bins(stream_id: int, *, start: datetime, end: datetime, step: timedelta) -> list[Bin]:
    """One stream in steps from `start`, zeros where nothing came, oldest first."""
    params = {"ids": [stream_id], "start": start, "end": end, "step": step}
    rows = {row["start"]: row for row in sql.fetch_all(_STREAM_BINS, params)}
    found = []
    moment = start
    while moment < end:
        row = rows.get(moment)
        found.append(
            Bin(moment, row["received"], row["accepted"], row["bad"]) if row else Bin(moment)
        )
        moment += step
    return found


def minutes(count: int = _STRIP_MINUTES) -> list[Minute]:
    """The last minutes, oldest first, zeros where nothing came."""
    now = clock.now().replace(second=0, microsecond=0)
    start = now - timedelta(minutes=count - 1)
    rows = {
        row["minute"]: row
        for row in IngestMinute.objects.filter(minute__gte=start)
        .values("minute")
        .annotate(a=Sum("accepted"), x=Sum("dead_lettered"))
    }
    found = []
    for offset in range(count):
        minute = start + timedelta(minutes=offset)
        row = rows.get(minute)
        found.append(Minute(minute, int(row["a"]) if row else 0, int(row["x"]) if row else 0))
    return found


def busiest_streams(
    actor: Actor, since: timedelta = timedelta(hours=1), limit: int = 10
) -> list[tuple[str, Totals, float | None]]:
    """Streams the actor may know of with the most refusals, then the most events; each with what 95 %
    of its events took from their own time to readable, None when that was not measured."""
    known = visible_streams(actor).order_by().values("pk")
    rows = list(
        IngestMinute.objects.filter(minute__gte=clock.now() - since, stream_id__in=known)
        .values("stream_id")
        .annotate(r=Sum("received"), a=Sum("accepted"), d=Sum("duplicate"), x=Sum("dead_lettered"))
        .order_by("-x", "-r")[:limit]
    )
    names = dict(
        Stream.objects.filter(pk__in=[row["stream_id"] for row in rows]).values_list("pk", "name")
    )
    ages = latencies.ages_of(names, since)
    return [
        (
            names[row["stream_id"]],
            Totals(int(row["r"]), int(row["a"]), int(row["d"]), int(row["x"])),
            ages.get(row["stream_id"]),
        )
        for row in rows
    ]


def discovered(limit: int = 20) -> list[DiscoveredStream]:
    """Types that arrive and are not registered, latest first."""
    return list(open_types()[:limit])


def _next_minute() -> datetime:
    """The end of the present minute: accounts of this minute belong to the last bin."""
    return clock.now().replace(second=0, microsecond=0) + timedelta(minutes=1)
