"""Ingest health: it joins what ingest counts with why an alarm of quality fired."""

from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from governance.middleware import request_actor
from ingest.log.latencies import Measure
from ingest.pages.views_letters import newest_of
from ingest.selectors import dead_letters, health, latencies
from portal.http import words
from quality.drawing import story_charts
from quality.models import Alarm, CheckKind
from quality.selectors.checks import checks_of_alarms, open_alarms
from quality.stories import story_of
from quality.verdicts import RULES, spoken

_GROUPS = 6
_AGE_GOAL_SECONDS = 5.0  # from the event's time to readable, at the 95th percentile


@require_GET
def ingest_health(request: HttpRequest) -> HttpResponse:
    """The whole page, or for a live refresh only its inner part."""
    actor = request_actor(request)
    hour = health.totals(timedelta(hours=1))
    minutes = health.minutes()
    groups = dead_letters.groups(actor, limit=_GROUPS)
    alarms = list(open_alarms(actor)[:5])
    waiting, group_count = dead_letters.totals(actor, state="open")
    context: dict[str, Any] = {
        "hour": hour,
        "refused_ratio": None if hour.accepted_ratio is None else 1 - hour.accepted_ratio,
        "day": health.last_day(),
        "goal": health.GOAL,
        "verdict": _verdict(hour, groups),
        "strip": [minute.state for minute in minutes],
        "strip_said": _strip_said(minutes),
        "streams": health.busiest_streams(actor),
        "groups": groups,
        "waiting": waiting,
        "sees_all": actor.is_admin or actor.has_role("on_call"),
        "group_count": group_count,
        "discovered": health.discovered(),
        "alarm_count": len(alarms),
        "age": latencies.of_everything()[Measure.AGE],
        "commit": latencies.of_everything()[Measure.COMMIT],
        "age_goal": _AGE_GOAL_SECONDS,
    }
    if alarms:
        context |= _why_it_fired(_telling(alarms))
    if groups:
        context |= newest_of(actor, groups[0])
    is_fragment = request.headers.get("HX-Request") == "true"
    return render(request, "ingest/_health.html" if is_fragment else "ingest/health.html", context)


def _telling(alarms: list[Alarm]) -> Alarm:
    """The alarm that ingest can explain: one of validity before others, the newest first."""
    return next((alarm for alarm in alarms if alarm.kind == CheckKind.VALIDITY), alarms[0])


def _why_it_fired(alarm: Alarm) -> dict[str, Any]:
    story = story_of(alarm)
    check = checks_of_alarms([alarm]).get(alarm.pk)
    return {
        "alarm": alarm,
        "story": story,
        "chart": story_charts(story, wide=500),
        "rule": RULES[alarm.kind],
        "now": spoken(check, alarm.stream.last_event_at) if check else "",
    }


def _verdict(hour: health.Totals, groups: list[dead_letters.Group]) -> tuple[str, str, str]:
    """Kind, sentence and reason, from the last hour's totals and the largest live cause."""
    ratio = hour.accepted_ratio
    if ratio is None:
        return ("warn", "Nothing has arrived in the last hour.", "No producer has sent anything.")
    said = (
        f"{words.plural(hour.received, 'event')} received in the last hour, "
        f"{words.number(hour.dead_lettered)} refused into dead letters, none lost."
    )
    if ratio >= health.GOAL:
        return ("ok", "Events come in as they should.", said)
    kind = "bad" if ratio < 1 - health.BAD else "warn"
    live = next((group for group in groups if group.trend != "stopped"), None)
    if live is not None and live.field and live.stream:
        sender = words.listed(live.producers) or "A producer"
        return (kind, f"{sender} breaks {live.field} of {live.stream}. Nothing is lost.", said)
    return (kind, f"{words.share(1 - ratio)} of events are refused. Nothing is lost.", said)


def _strip_said(minutes: list[health.Minute]) -> str:
    return (
        f"The last {len(minutes)} minutes: {health.said([one.state for one in minutes], 'minutes')}"
    )
