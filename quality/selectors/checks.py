"""Reading checks, their days and alarms, of the streams an actor may know of."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Final

from django.db.models import Case, Min, Q, QuerySet, When

from catalog.models import Stream
from catalog.selectors.streams import visible_streams
from portal.kernel import clock
from portal.kernel.actor import Actor
from portal.kernel.errors import NotFoundError
from quality.models import Alarm, Check, CheckDay, CheckKind

WORST_FIRST: Final = ("alarm", "remediating", "suspect", "recovered", "ok")
NOT_MEASURED: Final = "not_measured"
LEVEL_STATES: Final = {None: "none", 0: "ok", 1: "warn", 2: "bad", 3: "bad"}
DAYS: Final = 28


def checks_of(stream: Stream) -> list[Check]:
    """The checks of one stream in the order validity, freshness, volume."""
    found = {check.kind: check for check in Check.objects.filter(stream=stream)}
    return [found[kind] for kind in CheckKind.values if kind in found]


def health_of(checks: Iterable[Check]) -> str:
    """The state of a stream: that of its worst check, `not_measured` without any verdict."""
    judged = {row.state for row in checks if row.level is not None or row.state != "ok"}
    return next((state for state in WORST_FIRST if state in judged), NOT_MEASURED)


def streams_in_health(states: frozenset[str]) -> Q:
    """The condition of streams whose `health_of` is one of these."""
    judged = Check.objects.exclude(level=None, state="ok")
    ranked = judged.values("stream").annotate(
        worst=Min(Case(*(When(state=state, then=n) for n, state in enumerate(WORST_FIRST))))
    )
    ranks = [n for n, state in enumerate(WORST_FIRST) if state in states]
    found = Q(pk__in=ranked.filter(worst__in=ranks).values("stream"))
    if NOT_MEASURED in states:
        found |= ~Q(pk__in=judged.values("stream"))
    return found


def check_days(
    stream_ids: Iterable[int], *, days: int = DAYS
) -> Mapping[tuple[int, str], list[str]]:
    """Per (stream, kind) the state of each day, oldest first: ok, warn, bad or none."""
    ids = list(stream_ids)
    today = clock.now().date()
    first = today - timedelta(days=days - 1)
    found: dict[tuple[int, str], list[str]] = defaultdict(lambda: ["none"] * days)
    for row in CheckDay.objects.filter(stream_id__in=ids, day__gte=first, day__lte=today):
        found[row.stream_id, row.kind][(row.day - first).days] = LEVEL_STATES[row.worst]
    return found


def visible_alarms(actor: Actor) -> QuerySet[Alarm]:
    """Alarms of the streams the actor may know of, newest first."""
    return (
        Alarm.objects.filter(stream__in=visible_streams(actor).values("pk"))
        .select_related("stream__owner_team")
        .order_by("-opened_at")
    )


def open_alarms(actor: Actor) -> QuerySet[Alarm]:
    """Those of `visible_alarms` that have not ended."""
    return visible_alarms(actor).filter(closed_at=None)


def checks_of_alarms(alarms: Iterable[Alarm]) -> dict[int, Check]:
    """What the check of each alarm says now, by the alarm's id; one query."""
    rows = list(alarms)
    found = {
        (check.stream_id, check.kind): check
        for check in Check.objects.filter(stream__in={alarm.stream_id for alarm in rows})
    }
    return {
        alarm.pk: found[alarm.stream_id, alarm.kind]
        for alarm in rows
        if (alarm.stream_id, alarm.kind) in found
    }


def get_alarm(actor: Actor, alarm_id: int) -> Alarm:
    """One of `visible_alarms`; NotFoundError for missing and forbidden alike."""
    found = visible_alarms(actor).filter(pk=alarm_id).first()
    if found is None:
        raise NotFoundError
    return found


def visible_checks(actor: Actor) -> QuerySet[Check]:
    """Checks of the streams the actor may know of, by the name of the stream and kind."""
    return (
        Check.objects.filter(stream__in=visible_streams(actor).values("pk"))
        .select_related("stream__owner_team")
        .order_by("stream__name", "kind")
    )


def passing_ratio(stream: Stream, kind: str, *, days: int = DAYS) -> float | None:
    """The share of evaluations without a breach over the days; None without any."""
    since = clock.now().date() - timedelta(days=days - 1)
    rows = CheckDay.objects.filter(stream_id=stream.pk, kind=kind, day__gte=since)
    total = sum(row.evaluations for row in rows)
    return 1 - sum(row.breaches for row in rows) / total if total else None
