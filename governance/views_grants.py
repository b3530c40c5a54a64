"""Pages that act on grants: ending one, going through many, and deputies for who is away."""

from typing import Final
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from governance.forms import DeputyForm
from governance.middleware import request_actor
from governance.models import User
from governance.selectors import requests as selectors
from governance.services import delegations
from governance.services import grants as services
from portal.http import words
from portal.http.pagination import decode_cursor, encode_cursor
from portal.kernel import rfc3339
from portal.kernel.errors import InvalidError

PAGE: Final = 100


@require_POST
def end(request: HttpRequest, grant_id: str) -> HttpResponse:
    grant = services.end_grant(grant_id, actor=request_actor(request))
    messages.success(
        request,
        f"Ended {grant.permission} of {grant.holder} on {grant.ref.key}.",
    )
    return redirect("access")


@require_http_methods(["GET", "POST"])
def recertify(request: HttpRequest) -> HttpResponse:
    """Grants on what the person decides, a page at a time: each is kept or ended by its choice."""
    actor = request_actor(request)
    if request.method == "POST":
        said = {name: value for name, value in request.POST.items() if name.startswith("do-")}
        keep = [name[3:] for name, value in said.items() if value == "keep"]
        gone = [name[3:] for name, value in said.items() if value == "end"]
        if not keep and not gone:
            messages.error(
                request, "Nothing was chosen: say of some whether they are still needed."
            )
        else:
            kept, ended = services.recertify(actor=actor, keep=keep, end=gone)
            messages.success(
                request,
                f"{words.capitalized(words.counted(kept, 'grant'))} confirmed, {ended} ended.",
            )
        return redirect("recertify")
    after = None
    if cursor := request.GET.get("cursor"):
        ends_at, last = decode_cursor(cursor, "recertify")
        after = (rfc3339.parse(ends_at), last)
    rows = selectors.live_grants(actor, decides=True, limit=PAGE + 1, after=after)
    shown = rows[:PAGE]
    following = ""
    if len(rows) > PAGE:
        last_one = shown[-1]
        following = encode_cursor("recertify", [rfc3339.spell(last_one.valid_until), last_one.id])
    return render(request, "governance/recertify.html", {"grants": shown, "next": following})


@require_POST
def delegate(request: HttpRequest) -> HttpResponse:
    """Name a deputy; what is wrong with it is said in a message above the same page."""
    actor = request_actor(request)
    form = DeputyForm(request.POST)
    if not form.is_valid():
        name, faults = next(iter(form.errors.items()))
        messages.error(request, f"{words.capitalized(name)}: {faults[0]}")
        return redirect("access")
    deputy = User.objects.filter(email=form.cleaned_data["deputy"].lower(), is_active=True).first()
    if deputy is None:
        messages.error(request, "Nobody here has this address.")
        return redirect("access")
    try:
        made = delegations.delegate(
            actor=actor, deputy=deputy, since=form.since_at, until=form.until_at,
            note=form.cleaned_data["note"],
        )  # fmt: skip
    except InvalidError as error:
        messages.error(request, " ".join(fault.detail for fault in error.errors))
    else:
        messages.success(request, f"{deputy.email} decides for you until {words.day(made.until)}.")
    return redirect("access")


@require_POST
def end_delegation(request: HttpRequest, delegation_id: UUID) -> HttpResponse:
    ended = delegations.end_delegation(delegation_id, actor=request_actor(request))
    messages.success(request, f"{ended.deputy.email} no longer decides for {ended.person.email}.")
    return redirect("access")
