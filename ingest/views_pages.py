"""Pages of ingest: dead letters by cause, one event's life."""

from datetime import timedelta
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from catalog.classified import MASK
from catalog.selectors.streams import get_stream
from governance.middleware import request_actor
from ingest.models import DeadLetter
from ingest.selectors import dead_letters, events
from portal.http import parameters, words
from portal.http.pagination import paginate
from portal.http.policy import declare
from portal.kernel.actor import Actor

STATES: Final = {"open": "Open", "replayed": "Replayed", "discarded": "Discarded"}


@require_GET
@declare(GET="dead_letter.read")
def dead_letter_groups(request: HttpRequest) -> HttpResponse:
    asked = parameters.read(
        request.GET,
        {**parameters.LIST, "state": parameters.choice(STATES)},
    )
    actor, state = request_actor(request), asked.get("state", "open")
    page = paginate(
        dead_letters.grouped(actor, state=state),
        order=("-count", "group_key"),
        limit=asked.get("limit"),
        cursor=asked.get("cursor"),
    )
    waiting, total = dead_letters.totals(actor, state=state)
    groups = dead_letters.describe(actor, page.items, state=state)
    context: dict[str, Any] = {
        "groups": groups,
        "next": page.next,
        "state": state,
        "states": STATES.items(),
        "title": _title(state, waiting, total),
        "total": total,
        "sees_all": actor.is_admin or actor.has_role("on_call"),
        "chosen": groups[0] if groups else None,
    }
    if groups:
        context |= newest_of(actor, groups[0])
    return render(request, "ingest/dead_letters.html", context)


def _title(state: str, waiting: int, total: int) -> str:
    """What the list says at once; that nothing waits is good news."""
    if state != "open":
        verb = "was" if waiting == 1 else "were"
        return f"{words.capitalized(words.counted(waiting, 'event'))} {verb} {state}."
    if not waiting:
        return "No dead letters. That is good news."
    causes = words.counted(total, "cause")
    return f"{words.capitalized(words.counted(waiting, 'refused event'))}, {causes}."


def newest_of(actor: Actor, group: dead_letters.Group) -> dict[str, Any]:
    """The newest event of a group with its faults, for the pane beside a list.

    One whose reading is logged is left to the page of the group: a list must not read it by itself,
    let alone each time it refreshes.
    """
    rows = dead_letters.visible_dead_letters(actor).filter(group_key=group.key)
    newest = rows.order_by("-received_at", "id").first()
    if newest is not None and dead_letters.is_logged(newest):
        return {"newest": newest, "is_logged": True}
    return _shown(actor, newest)


def _shown(actor: Actor, letter: DeadLetter | None) -> dict[str, Any]:
    body = dead_letters.readable_body(actor, letter) if letter is not None else None
    return {
        "newest": letter,
        "document": dead_letters.parsed(body),
        "body": body,
        "faults": [error["pointer"] for error in letter.errors] if letter is not None else [],
    }


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
    return render(
        request,
        "ingest/dead_letter_group.html",
        {
            "group": dead_letters.group_of(actor, key),
            "letters": page.items,
            "next": page.next,
            **_shown(actor, page.items[0] if page.items else None),
        },
    )


@require_GET
@declare(GET="stream.read_payload")
def event_page(request: HttpRequest, name: str, event_id: str) -> HttpResponse:
    actor = request_actor(request)
    asked = parameters.read(request.GET, {"time": parameters.moment})
    stream = get_stream(actor, name)
    found = events.stored_event(actor, stream, event_id, occurred_at=asked.get("time"))
    lag = (found.received_at - found.occurred_at).total_seconds()
    if found.corrected_time is not None:
        lag = max(0.0, (found.received_at - found.corrected_time).total_seconds())
    document = found.as_cloudevent()
    del document["portal"]  # stands in words beside it
    came = "before its own clock said" if lag < 0 else f"{words.duration(lag)} after it happened"
    return render(
        request,
        "ingest/event.html",
        {
            "stream": stream,
            "event": found,
            "lag_seconds": lag,
            "document": document,
            "mask": MASK,
            "say": f"It came {came}, and was accepted.",
            "kept_until": found.occurred_at + timedelta(days=stream.retention_days),
        },
    )
