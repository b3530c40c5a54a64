"""Pages of ingest: health, dead letters by cause, one event's life."""

import json
from datetime import timedelta

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from catalog.selectors.streams import get_stream
from governance.middleware import request_actor
from ingest.selectors import dead_letters, events, health
from portal.http import parameters, words
from portal.http.pagination import paginate
from portal.http.policy import declare

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@require_GET
@declare(GET="signed_in")
def ingest_health(request: HttpRequest) -> HttpResponse:
    """The whole page, or for a live refresh only its inner part."""
    actor = request_actor(request)
    hour, day = health.totals(HOUR), health.totals(DAY)
    minutes = health.minutes()
    context = {
        "hour": hour,
        "day": day,
        "goal": health.GOAL,
        "verdict": _verdict(hour),
        "minutes": minutes,
        "strip": [minute.state for minute in minutes],
        "spark": [minute.accepted for minute in minutes],
        "sources": health.sources(),
        "streams": health.busiest_streams(actor),
        "groups": dead_letters.groups(actor, limit=6),
        "discovered": health.discovered(),
    }
    is_fragment = request.headers.get("HX-Request") == "true"
    return render(request, "ingest/_health.html" if is_fragment else "ingest/health.html", context)


def _verdict(hour: health.Totals) -> tuple[str, str, str]:
    """Kind, sentence and reason, from the last hour's totals."""
    ratio = hour.accepted_ratio
    if ratio is None:
        return ("warn", "Nothing has arrived in the last hour.", "No producer has sent anything.")
    said = (
        f"{words.plural(hour.received, 'event')} received in the last hour, "
        f"{words.number(hour.dead_lettered)} refused into dead letters, none lost."
    )
    if ratio >= health.GOAL:
        return ("ok", "Events come in as they should.", said)
    kind = "bad" if ratio < 0.95 else "warn"
    return (kind, f"{words.share(1 - ratio)} of events are refused.", said)


@require_GET
@declare(GET="dead_letter.read")
def dead_letter_groups(request: HttpRequest) -> HttpResponse:
    asked = parameters.read(
        request.GET,
        {**parameters.LIST, "state": parameters.choice(("open", "replayed", "discarded"))},
    )
    actor, state = request_actor(request), asked.get("state", "open")
    page = paginate(
        dead_letters.grouped(actor, state=state),
        order=("-count", "group_key"),
        limit=asked.get("limit"),
        cursor=asked.get("cursor"),
    )
    events, groups = dead_letters.totals(actor, state=state)
    context = {
        "groups": dead_letters.describe(actor, page.items, state=state),
        "next": page.next,
        "state": state,
        "events": events,
        "total": groups,
    }
    return render(request, "ingest/dead_letters.html", context)


@require_GET
@declare(GET="dead_letter.read")
def dead_letter_group(request: HttpRequest, group: str) -> HttpResponse:
    actor = request_actor(request)
    key = dead_letters.key_of(group)
    asked = parameters.read(request.GET, parameters.LIST)
    page = paginate(
        dead_letters.visible_dead_letters(actor).filter(group_key=key),
        order=("-received_at", "id"),
        limit=asked.get("limit", 20),
        cursor=asked.get("cursor"),
    )
    found = dead_letters.group_of(actor, key)
    newest = page.items[0] if page.items else None
    body = dead_letters.readable_body(actor, newest) if newest is not None else None
    return render(
        request,
        "ingest/dead_letter_group.html",
        {
            "group": found,
            "letters": page.items,
            "next": page.next,
            "newest": newest,
            "document": _parsed(body),
            "body": body,
            "faults": [error["pointer"] for error in newest.errors] if newest else [],
        },
    )


def _parsed(body: str | None) -> object:
    """The body as JSON where it is JSON; None otherwise."""
    if body is None:
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


@require_GET
@declare(GET="stream.read_payload")
def event_page(request: HttpRequest, name: str, event_id: str) -> HttpResponse:
    actor = request_actor(request)
    asked = parameters.read(request.GET, {"time": parameters.moment})
    stream = get_stream(actor, name)
    found = events.stored_event(actor, stream, event_id, occurred_at=asked.get("time"))
    lag = (found.received_at - found.occurred_at).total_seconds()
    return render(
        request,
        "ingest/event.html",
        {"stream": stream, "event": found, "lag_seconds": lag, "document": found.as_cloudevent()},
    )
