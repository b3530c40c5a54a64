"""How ingest is doing, from its per-minute accounts."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Count, QuerySet, Sum

from catalog.models import Producer, Stream
from catalog.selectors.streams import visible_streams
from ingest.models import DeadLetter, DiscoveredStream, IngestMinute
from ingest.selectors.discovered import open_types
from portal.kernel import clock, soft_cache
from portal.kernel.actor import Actor

GOAL: Final = 0.999
_STRIP_MINUTES: Final = 60
_SETTLING: Final = timedelta(hours=2)
_SETTLED_SECONDS: Final = 3600


@dataclass(frozen=True, slots=True)
class Totals:
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


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One producer in the last hour, worst first."""

    producer: str
    totals: Totals


@dataclass(frozen=True, slots=True)
class Minute:
    minute: datetime
    accepted: int
    dead_lettered: int

    @property
    def state(self) -> str:
        """For the calm strip: trouble is tall."""
        total = self.accepted + self.dead_lettered
        if not total:
            return "none"
        share = self.dead_lettered / total
        return "bad" if share > 0.05 else "warn" if share > 1 - GOAL else "ok"


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
        rows = DeadLetter.objects.filter(state="open").values("reason").annotate(n=Count("id"))
        found = {row["reason"]: row["n"] for row in rows.order_by("reason")}
        soft_cache.put("open_dead_letters", found, 60)
    return found


def sources(since: timedelta = timedelta(hours=1), limit: int = 20) -> list[SourceRow]:
    """Producers by what was refused, then by volume."""
    rows = (
        IngestMinute.objects.filter(minute__gte=clock.now() - since)
        .values("producer_id")
        .annotate(r=Sum("received"), a=Sum("accepted"), d=Sum("duplicate"), x=Sum("dead_lettered"))
        .order_by("-x", "-r")[:limit]
    )
    found = list(rows)
    names = dict(
        Producer.objects.filter(pk__in=[row["producer_id"] for row in found]).values_list(
            "pk", "name"
        )
    )
    return [
        SourceRow(
            names.get(row["producer_id"], "unknown"),
            Totals(int(row["r"]), int(row["a"]), int(row["d"]), int(row["x"])),
        )
        for row in found
    ]


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
) -> list[tuple[str, Totals]]:
    """Streams the actor may know of with the most refusals, then the most events."""
    rows = list(
        IngestMinute.objects.filter(
            minute__gte=clock.now() - since, stream_id__in=visible_streams(actor).values("pk")
        )
        .values("stream_id")
        .annotate(r=Sum("received"), a=Sum("accepted"), d=Sum("duplicate"), x=Sum("dead_lettered"))
        .order_by("-x", "-r")[:limit]
    )
    names = dict(
        Stream.objects.filter(pk__in=[row["stream_id"] for row in rows]).values_list("pk", "name")
    )
    return [
        (
            names[row["stream_id"]],
            Totals(int(row["r"]), int(row["a"]), int(row["d"]), int(row["x"])),
        )
        for row in rows
        if row["stream_id"] in names
    ]


def discovered(limit: int = 20) -> list[DiscoveredStream]:
    """Types that arrive and are not registered, latest first."""
    return list(open_types()[:limit])
