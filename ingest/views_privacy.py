"""Deciding on privacy suggestions from a stream's page."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from catalog.selectors.streams import get_stream
from governance.middleware import request_actor
from ingest.field_plan import STRICTNESS
from ingest.selectors.suspects import get_suggestion
from ingest.services.suspects import KEEP, accept_suggestion, dismiss_suggestion
from portal.http.policy import declare
from portal.kernel.errors import InvalidError, InvalidStateError, sentence


@require_POST
@declare(POST="stream.edit")
def decide(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Accept with a treatment, and go on to the draft; or dismiss with a reason."""
    actor = request_actor(request)
    found = get_suggestion(get_stream(actor, name), number)
    wish = request.POST.get("treatment", "")
    try:
        if wish in (*STRICTNESS, KEEP):
            draft = accept_suggestion(found, wish, actor=actor)
            return redirect("draft", draft_id=draft.pk)
        dismiss_suggestion(found, request.POST.get("reason", ""), actor=actor)
        messages.success(request, f"{found.path} is nothing personal: noted.")
    except (InvalidError, InvalidStateError) as error:
        messages.error(request, sentence(error))
    return redirect("stream", name=name)
