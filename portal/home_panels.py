"""The panels of the home page, each gathered in a bounded number of queries.

A loader gives what its template shows, or something false when the panel has nothing to say.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.db.models import Count, Q, QuerySet

from analytics.selectors import volume
from catalog.models import ConsumerMapping, Draft, Follow, Producer, Stream
from catalog.selectors.drafts import visible_drafts
from catalog.selectors.streams import visible_streams
from experiments import pages as experiment_pages
from experiments.models import AnalysisSnapshot, Experiment, ExperimentMetric
from experiments.selectors import experiments as experiment_selectors
from experiments.types import State
from governance.models import AuditEntry
from governance.selectors.audit_log import newest_verification
from governance.selectors.requests import (
    GrantRow,
    live_grants,
    visible_requests,
)
from ingest.models import DiscoveredStream
from ingest.selectors import dead_letters, health
from portal.abilities import may_register
from portal.changes import Change, what_changed
from portal.http import words
from portal.kernel import clock, soft_cache
from portal.kernel.actor import Actor
from portal.rows import Row, stream_rows
from quality.models import Alarm
from quality.selectors.checks import visible_alarms

SHOWN: Final = 8
NEW: Final = timedelta(days=14)
WEEK: Final = timedelta(days=7)
SOON: Final = timedelta(days=30)
_FEW: Final = 5
_MOST_READ: Final = 50
_PRODUCERS: Final = 50
_DRAFTS: Final = 2
_ATTENTION_SECONDS: Final = 300
_GROWTH: Final = 0.2
_GROWTH_EVENTS: Final = 100


@dataclass(frozen=True, slots=True)
class MyStreams:
    """The person's streams with trust and volume; without any, a few to begin with. Always shown."""

    rows: Sequence[Row]
    count: int
    suggestions: Sequence[Row]


def my_streams(actor: Actor) -> MyStreams:
    """Streams that the person's teams own or that they follow, the most important first."""
    mine = streams_of(actor)
    rows = stream_rows(actor, list(mine[:SHOWN]))
    return MyStreams(rows, mine.count(), [] if rows else _suggestions(actor))


def streams_of(actor: Actor) -> QuerySet[Stream]:
    """Streams the person's teams own or that they follow, none retired, by tier and name."""
    return (
        visible_streams(actor)
        .exclude(lifecycle="retired")
        .filter(Q(owner_team__in=actor.team_ids) | Q(followers__user=actor.id))
        .distinct()
        .order_by("tier", "name")
    )


def _suggestions(actor: Actor) -> list[Row]:
    """The three streams that most consumers read."""
    return stream_rows(actor, _most_read(actor, 3))


def _most_read(actor: Actor, count: int) -> list[Stream]:
    """Ranked by their mappings alone, of which there are few, then filled up by name."""
    known = visible_streams(actor).filter(lifecycle="active")
    ranked = list(
        ConsumerMapping.objects.filter(stream__in=known.order_by().values("pk"))
        .values("stream")
        .annotate(readers=Count("pk"))
        .order_by("-readers", "stream__name")
        .values_list("stream", flat=True)[:count]
    )
    found = known.in_bulk(ranked)
    unread = known.exclude(pk__in=ranked).order_by("name")[: count - len(ranked)]
    return [*(found[pk] for pk in ranked if pk in found), *unread]


def changes(actor: Actor) -> list[Change]:
    """What changed lately that the person may know of, newest first."""
    return what_changed(actor)


@dataclass(frozen=True, slots=True)
class Attention:
    """A stream that is looked at more than before, and why that is said."""

    stream: Stream
    strong: str
    rest: str


def gaining_attention(actor: Actor) -> list[Attention]:
    """Streams with new consumers, new followers or more events this week; kept for five minutes."""
    key = f"attention:{actor.kind}:{actor.id}"
    found: list[Attention] | None = soft_cache.get(key)
    if found is None:
        found = _gaining_attention(actor)
        soft_cache.put(key, found, _ATTENTION_SECONDS)
    return found


def _gaining_attention(actor: Actor) -> list[Attention]:
    since = clock.now() - WEEK
    known = visible_streams(actor).order_by().values("pk")
    consumers = dict(
        ConsumerMapping.objects.filter(since__gte=since, stream__in=known)
        .values("stream")
        .annotate(n=Count("pk"))
        .order_by("-n")
        .values_list("stream", "n")[:_FEW]
    )
    followers = dict(
        Follow.objects.filter(since__gte=since, stream__in=known)
        .exclude(user=actor.id)
        .values("stream")
        .annotate(n=Count("pk"))
        .order_by("-n")
        .values_list("stream", "n")[:_FEW]
    )
    watched = {*consumers, *followers}
    streams = {stream.pk: stream for stream in visible_streams(actor).filter(pk__in=watched)}
    streams |= {stream.pk: stream for stream in _most_read(actor, _MOST_READ)}
    growth = _growth(list(streams))
    ranked = sorted(
        {*consumers, *followers, *growth},
        key=lambda pk: (-consumers.get(pk, 0), -followers.get(pk, 0), -growth.get(pk, 0.0), pk),
    )
    return [
        Attention(streams[pk], *_why(consumers.get(pk, 0), followers.get(pk, 0), growth.get(pk)))
        for pk in ranked[: _FEW - 1]
        if pk in streams
    ]


def _growth(ids: Sequence[int]) -> dict[int, float]:
    """Streams whose events grew by a fifth or more over the week before, with how much."""
    found = {}
    for pk, days in volume.daily(ids).items():
        before, now = sum(days[:7]), sum(days[7:])
        if before >= _GROWTH_EVENTS and now / before - 1 >= _GROWTH:
            found[pk] = now / before - 1
    return found


def _why(consumers: int, followers: int, growth: float | None) -> tuple[str, str]:
    parts = []
    if consumers:
        parts.append(f"{words.counted(consumers, 'new consumer')}")
    if followers:
        parts.append(f"{words.counted(followers, 'new follower')}")
    if growth is not None:
        parts.append(f"{words.share(growth, 0)} more events")
    return words.capitalized(words.listed(parts)), "this week."


def new_signals(actor: Actor) -> list[Stream]:
    """Streams registered in the last two weeks."""
    rows = visible_streams(actor).filter(created_at__gte=clock.now() - NEW)
    return list(rows.order_by("-created_at")[:_FEW])


@dataclass(frozen=True, slots=True)
class ExperimentRow:
    """One experiment with what its newest snapshot says, and its interval as a glyph."""

    title: str
    url: str
    say: str
    effect: str
    day: str
    glyph: Any


def experiments(actor: Actor) -> list[ExperimentRow]:
    """Running experiments: for analysts all, for others those of their teams and streams."""
    rows = experiment_selectors.visible_experiments(actor).filter(state=State.RUNNING)
    if not actor.has_role("analyst"):
        mine = streams_of(actor).order_by().values("pk")
        measured = ExperimentMetric.objects.filter(metric__stream__in=mine).values("experiment")
        rows = rows.filter(
            Q(owner_team__in=actor.team_ids) | Q(exposure_stream__in=mine) | Q(pk__in=measured)
        )
    found = list(rows.order_by("-started_at")[:_FEW])
    snapshots = experiment_selectors.newest_snapshots(found)
    return [_experiment_row(row, snapshots.get(row.pk)) for row in found]


def _experiment_row(row: Experiment, snapshot: AnalysisSnapshot | None) -> ExperimentRow:
    url = f"/experiments/{row.key}/"
    if snapshot is None:
        return ExperimentRow(row.title, url, "No reading yet.", "", "", "")
    return ExperimentRow(
        title=row.title,
        url=url,
        say=snapshot.verdict["say"],
        effect=experiment_pages.effect_of(snapshot),
        day=f"Day {snapshot.verdict['facts']['runtime_days']} of {row.planned_days}.",
        glyph=experiment_pages.glyph_of(snapshot),
    )


def refused(actor: Actor) -> Any:
    """Dead letters that the person may see, by cause. On-call reads of their absence too."""
    groups = dead_letters.groups(actor, limit=4)
    if not groups and not actor.has_role("on_call"):
        return None
    return {"groups": groups}


def sources(actor: Actor) -> Sequence[health.Source]:
    """Who sends, and how their last day went."""
    return health.last_day().sources[:6]


def recovered(actor: Actor) -> list[Alarm]:
    """Alarms that ended in the last week."""
    rows = visible_alarms(actor).filter(closed_at__gte=clock.now() - WEEK)
    return list(rows.order_by("-closed_at")[:_FEW])


@dataclass(frozen=True, slots=True)
class DomainCount:
    slug: str
    name: str
    streams: int


def signals_by_domain(actor: Actor) -> list[DomainCount]:
    """The largest domains, to begin a search with."""
    rows = (
        visible_streams(actor)
        .exclude(lifecycle="retired")
        .order_by()
        .values("domain__slug", "domain__name")
        .annotate(n=Count("pk"))
        .order_by("-n", "domain__slug")[:SHOWN]
    )
    return [DomainCount(row["domain__slug"], row["domain__name"], row["n"]) for row in rows]


@dataclass(frozen=True, slots=True)
class Build:
    """What an engineer works at: drafts, streams not yet in production, types nobody registered,
    producers."""

    may_register: bool
    drafts: Sequence[Draft]
    young: Sequence[Stream]
    discovered: Sequence[DiscoveredStream]
    producers: int
    sent: health.Totals
    refused: Sequence[tuple[str, int]]


def what_i_build(actor: Actor) -> Build:
    """What an engineer works at; what was sent and refused is of the last hour."""
    young = streams_of(actor).filter(
        Q(track="experimental") | Q(lifecycle="draft") | Q(last_event_at=None)
    )
    producers = dict(
        Producer.objects.filter(team__in=actor.team_ids)
        .order_by("name")
        .values_list("pk", "name")[:_PRODUCERS]
    )
    hours = health.hour_of(list(producers))
    return Build(
        may_register=may_register(actor),
        drafts=list(
            visible_drafts(actor).defer("content", "page").order_by("-updated_at")[:_DRAFTS]
        ),
        young=list(young.order_by("-created_at")[:_FEW]),
        discovered=health.discovered(limit=3),
        producers=len(producers),
        sent=health.sum_of(hours.values()),
        refused=[
            (producers[pk], hour.dead_lettered) for pk, hour in hours.items() if hour.dead_lettered
        ],
    )


def ledger(actor: Actor) -> Any:
    """How the audit log stands, for who may ask it."""
    if not actor.is_admin:
        return None
    return {
        "verification": newest_verification(),
        "newest": AuditEntry.objects.order_by("-seq").first(),
    }


def ending_grants(actor: Actor) -> list[GrantRow]:
    """Grants that end within 30 days."""
    soon = clock.now() + SOON
    return [grant for grant in live_grants(actor, limit=_FEW) if grant.valid_until < soon]


def my_access(actor: Actor) -> Any:
    """What the person may read by grant, and what they asked for."""
    held = live_grants(actor, mine=True, limit=_FEW)
    grants = [grant for grant in held if not grant.is_of_program]
    asked = visible_requests(actor).filter(requester_id=actor.id, state="open")
    return {"grants": grants, "asked": list(asked.order_by("-created_at")[:_FEW])}
