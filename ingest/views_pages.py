"""The page of one stored event: its life."""

from datetime import timedelta

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from catalog.classified import MASK
from catalog.selectors.streams import get_stream
from governance.middleware import request_actor
from ingest.selectors import events
from portal.http import parameters, words
from portal.http.policy import declare


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
