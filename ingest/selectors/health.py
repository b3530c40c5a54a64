"""How ingest is doing, from its per-minute accounts."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Sum

from catalog.models import Producer, Stream
from ingest.models import DiscoveredStream, IngestMinute
from ingest.selectors.discovered import open_types
from portal.kernel import clock

GOAL: Final = 0.999
_STRIP_MINUTES: Final = 60


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
    start = clock.now() - since
    row = IngestMinute.objects.filter(minute__gte=start).aggregate(
        received=Sum("received", default=0),
        accepted=Sum("accepted", default=0),
        duplicate=Sum("duplicate", default=0),
        dead_lettered=Sum("dead_lettered", default=0),
    )
    return Totals(**{name: int(value) for name, value in row.items()})


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
    since: timedelta = timedelta(hours=1), limit: int = 10
) -> list[tuple[str, Totals]]:
    """Streams with the most refusals, then the most events."""
    rows = list(
        IngestMinute.objects.filter(minute__gte=clock.now() - since)
        .exclude(stream_id=0)
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
