"""What a person finds on their home page, gathered from every app in a bounded number of queries."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.db.models import Q, QuerySet

from catalog.models import Stream
from governance import access
from governance.models import AuditEntry
from governance.selectors.requests import requests_to_decide
from ingest.selectors import health
from portal.http import words
from portal.kernel import clock, soft_cache
from portal.kernel.actor import Actor
from portal.rows import Row, stream_rows
from quality.selectors.checks import open_alarms
from quality.selectors.trust import trust_of

_SHOWN: Final = 8
NEW: Final = timedelta(days=14)
_TRUST_SECONDS: Final = 60
_TRUST_STREAMS: Final = 500


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that waits for the person, with the one action that settles it."""

    icon: str
    title: str
    text: str
    url: str
    action: str
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class TrustCount:
    """How many streams carry each word, of the first 500 by name."""

    words: dict[str, int]
    total: int

    @property
    def trusted(self) -> int:
        return self.words.get("Trusted", 0)

    @property
    def rest(self) -> str:
        parts = [
            f"{self.words[word]} {text}"
            for word, text in (
                ("Not ready", "failing"),
                ("Use with care", "need care"),
                ("Unproven", "unproven"),
            )
            if self.words.get(word)
        ]
        return ", ".join(parts) or "all of them"


@dataclass(frozen=True, slots=True)
class HomePage:
    headline: str
    items: Sequence[Item]
    rows: Sequence[Row]
    stream_count: int
    newest: Sequence[Stream]
    changes: Sequence[AuditEntry]
    day: health.Totals
    hour: health.Totals
    goal: float
    per_minute: Sequence[int]
    trust: TrustCount


def home_page(actor: Actor) -> HomePage:
    """The home page of one person."""
    items = waiting_items(actor)
    mine = my_streams(actor)
    known = access.discoverable(actor, Stream.objects.select_related("owner_team"))
    return HomePage(
        headline=headline(items),
        items=items,
        rows=stream_rows(actor, list(mine[:_SHOWN])),
        stream_count=mine.count(),
        newest=list(known.filter(created_at__gte=clock.now() - NEW).order_by("-created_at")[:5]),
        changes=list(
            AuditEntry.objects.filter(
                object_kind="stream",
                action__in=("stream.registered", "schema.published", "stream.changed"),
                object_key__in=known.order_by("-updated_at").values("name")[:200],
            ).order_by("-seq")[:5]
        ),
        day=health.totals(timedelta(days=1)),
        hour=health.totals(timedelta(hours=1)),
        goal=health.GOAL,
        per_minute=[minute.accepted for minute in health.minutes()],
        trust=trust_count(actor),
    )


def waiting_items(actor: Actor) -> list[Item]:
    """Alarms of the person's streams (on-call and admins: of all), then requests to decide."""
    alarms = open_alarms(actor)
    if not (actor.is_admin or actor.has_role("on_call")):
        alarms = alarms.filter(
            Q(stream__owner_team__in=actor.team_ids) | Q(stream__followers__user=actor.id)
        ).distinct()
    items = [
        Item(
            icon="bad",
            title=f"{alarm.stream.name}: {alarm.get_kind_display().lower()} alarm",
            text=f"{alarm.sentence} Since {words.ago(alarm.opened_at)}.",
            url=f"/quality/alarms/{alarm.pk}/",
            action="See why",
            urgent=True,
        )
        for alarm in alarms[:_SHOWN]
    ]
    items += [
        Item(
            icon="key",
            title=f"{request.requester.name} asks for {request.resource_key}",
            text=f"“{request.purpose}” Until {words.day(request.until)}.",
            url="/access/",
            action="Decide",
        )
        for request in requests_to_decide(actor).order_by("created_at")[:_SHOWN]
    ]
    return items[:_SHOWN]


def my_streams(actor: Actor) -> QuerySet[Stream]:
    """Streams that the person's teams own or that they follow."""
    return (
        access.discoverable(actor, Stream.objects.select_related("owner_team"))
        .filter(Q(owner_team__in=actor.team_ids) | Q(followers__user=actor.id))
        .distinct()
        .order_by("tier", "name")
    )


def trust_count(actor: Actor) -> TrustCount:
    """How many streams can be trusted, of those the person may know of; kept for a minute."""
    key = f"trust_count:{actor.kind}:{actor.id}"
    found: TrustCount | None = soft_cache.get(key)
    if found is None:
        streams = list(
            access.discoverable(actor, Stream.objects.select_related("owner_team"))
            .exclude(lifecycle="retired")
            .order_by("name")[:_TRUST_STREAMS]
        )
        counted = Counter(trust.word for trust in trust_of(streams).values())
        found = TrustCount(dict(counted), len(streams))
        soft_cache.put(key, found, _TRUST_SECONDS)
    return found


def headline(items: Sequence[Item]) -> str:
    """The verdict of the day in one sentence."""
    urgent = sum(item.urgent for item in items)
    rest = len(items) - urgent
    if urgent:
        unwell = "One stream is unwell" if urgent == 1 else f"{urgent} streams are unwell"
        if rest:
            verb = "waits" if rest == 1 else "wait"
            return f"{unwell} and {words.plural(rest, 'decision')} {verb} for you."
        return f"{unwell}. The rest is calm."
    if rest:
        return f"{words.plural(rest, 'decision')} {'waits' if rest == 1 else 'wait'} for you."
    return "All calm. Nothing waits for you."
