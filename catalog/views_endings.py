"""The page on which a stream's end is said, taken back, or brought about."""

from datetime import UTC, datetime, time

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from catalog.forms import EndingForm
from catalog.models import Stream
from catalog.selectors.streams import get_stream, successor_of
from catalog.services import endings
from governance import access
from governance.middleware import request_actor
from governance.types import Permission
from portal.kernel.actor import Actor
from portal.kernel.errors import NotFoundError, PortalError


@require_http_methods(["GET", "POST"])
def end(request: HttpRequest, name: str) -> HttpResponse:
    """Deprecate an active stream; take back or retire a deprecated one."""
    actor = request_actor(request)
    stream = get_stream(actor, name)
    access.require(actor, Permission.APPROVE, stream)
    form = EndingForm(request.POST if request.POST.get("do") == "deprecate" else None)
    if request.method == "POST":
        try:
            said = _act(request.POST.get("do", ""), stream, form, actor)
        except PortalError as error:
            _place(form, error)
            if not form.is_bound:
                messages.error(request, f"Not done: {error.detail}")
                return redirect("stream_end", name=stream.name)
        else:
            if said:
                messages.success(request, said)
                return redirect("stream", name=stream.name)
    context = {"stream": stream, "form": form, "successor": successor_of(actor, stream)}
    status = 422 if form.errors else 200
    return render(request, "catalog/stream_end.html", context, status=status)


def _act(word: str, stream: Stream, form: EndingForm, actor: Actor) -> str:
    """Do what the button says; nothing where its form has a fault."""
    if word == "reactivate":
        endings.reactivate_stream(stream, actor=actor)
        return f"{stream.name} is active again."
    if word == "retire":
        endings.retire_stream(stream, actor=actor)
        return f"{stream.name} is retired."
    if word != "deprecate":
        raise NotFoundError
    if not form.is_valid():
        return ""
    given = form.cleaned_data
    endings.deprecate_stream(
        stream,
        actor=actor,
        sunset_at=datetime.combine(given["sunset_on"], time(), tzinfo=UTC),
        migration=given["migration"],
        successor=_successor(form, actor),
    )
    return f"{stream.name} is deprecated."


def _successor(form: EndingForm, actor: Actor) -> Stream | None:
    name = form.cleaned_data["successor"]
    return get_stream(actor, name) if name else None


def _place(form: EndingForm, error: PortalError) -> None:
    """Say at each field what is wrong with it."""
    if not form.is_bound:
        return
    if isinstance(error, NotFoundError):
        form.add_error("successor", "No stream of this name is known to you.")
        return
    places = {"/sunset_at": "sunset_on", "/migration": "migration", "/successor": "successor"}
    for fault in error.errors:
        form.add_error(places.get(fault.pointer), f"It {fault.detail}.")
    if not error.errors:
        form.add_error(None, error.detail)
