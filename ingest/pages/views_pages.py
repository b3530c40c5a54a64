"""The page of one stored event, its life, and the finder of any id."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_GET

from catalog.classified import MASK
from catalog.selectors.streams import get_stream
from governance.middleware import request_actor
from ingest.pages import event_fields, event_pages
from ingest.selectors import events, finder
from ingest.selectors.dead_letters import group_id, visible_dead_letters
from ingest.selectors.event_life import life_of, life_of_letter
from portal.http import parameters

LIVES: Final = {"steps": "Steps", "trace": "Trace"}
VIEWS: Final = {"json": "JSON", "fields": "Fields", "raw": "Raw"}
_NOWHERE: Final = UUID(int=0)


@require_GET
def event_page(request: HttpRequest, name: str, event_id: str) -> HttpResponse:
    """An event, its life from its sender to its readers, and its data; `?time=` spares the search.

    `?life=` and `?view=` choose how the two are shown; each is a page that works without a script.
    """
    actor = request_actor(request)
    asked = parameters.read(
        request.GET,
        {"time": parameters.moment, "life": parameters.choice(LIVES),
         "view": parameters.choice(VIEWS)},
    )  # fmt: skip
    stream = get_stream(actor, name)
    found = events.stored_event(actor, stream, event_id, occurred_at=asked.get("time"))
    life = life_of(stream, found)
    document = found.as_cloudevent()
    del document["portal"]  # stands in words beside it
    say, because = event_pages.sentence(found, life)
    contract = events.contract_of(stream, found)
    how, view = asked.get("life", "steps"), asked.get("view", "json")
    following = events.next_event(actor, stream, found)
    return render(
        request,
        "ingest/event.html",
        {
            "stream": stream,
            "event": found,
            "life": life,
            "lives": LIVES.items(),
            "how": how,
            "views": VIEWS.items(),
            "view": view,
            "rows": event_pages.rows(
                life.stages,
                event_pages.subs_of(
                    found,
                    life,
                    f"partition {stream.track}",
                    event_fields.treated_said(contract),
                ),
            ),
            "trace": event_pages.trace(found, life) if how == "trace" else None,
            "fields": event_fields.fields_shown(found, contract) if view == "fields" else None,
            "line": event_fields.one_line(document),
            "in_clear": event_fields.seen_in_clear(found, contract),
            "address": request.build_absolute_uri(
                _address(stream.name, found.id, found.occurred_at)
            ),
            "next": _address(stream.name, *following) if following is not None else "",
            "document": document,
            "mask": MASK,
            "say": say,
            "because": because,
            "kept_until": found.occurred_at + timedelta(days=stream.retention_days),
        },
    )


def _address(stream: str, event_id: str, at: datetime) -> str:
    """The page of one event for good: the same id may come again at another time."""
    return f"{reverse('event', args=[stream, event_id])}?{urlencode({'time': at.isoformat()})}"


@require_GET
def find_event(request: HttpRequest) -> HttpResponse:
    """Where an id is. An event found alone is shown at once; a dead letter with its life."""
    actor = request_actor(request)
    asked = parameters.read(
        request.GET,
        {"id": parameters.text(128), "stream": parameters.text(255), "time": parameters.moment},
    )
    wanted = asked.get("id", "").strip()
    context = {"wanted": wanted, "asked_stream": asked.get("stream", "")}
    if not wanted:
        return render(request, "ingest/find.html", context)
    stream = get_stream(actor, asked["stream"]) if "stream" in asked else None
    found = finder.find(actor, wanted, stream=stream, at=asked.get("time"))
    if len(found.hits) == 1 and found.hits[0].kind == "event":
        hit = found.hits[0]
        return redirect(_address(hit.stream, hit.id, hit.at))
    letters = [hit.letter for hit in found.hits if hit.letter is not None]
    rows = visible_dead_letters(actor).filter(id__in=letters).defer("body")
    lives = {
        letter.id: (event_pages.rows(life_of_letter(letter)), group_id(letter.group_key))
        for letter in rows
    }
    hits = [(hit, *lives.get(hit.letter or _NOWHERE, (None, ""))) for hit in found.hits]
    return render(request, "ingest/find.html", context | {"found": found, "hits": hits})
