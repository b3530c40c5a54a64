"""Pages that act on grants: ending one, going through many, and deputies for who is away."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from governance.forms import DeputyForm, end_of_day
from governance.middleware import request_actor
from governance.models import User
from governance.selectors import requests as selectors
from governance.selectors.requests import GrantRow
from governance.services import delegations
from governance.services import grants as services
from governance.services.extending import extend_grant
from portal.http import words
from portal.kernel.actor import Actor
from portal.kernel.errors import InvalidError, NotFoundError

PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class Row:
    """A grant in a list, and what the reader may do with it."""

    grant: GrantRow
    may_end: bool
    may_extend: bool
    is_own: bool


def rows_of(actor: Actor, grants: Sequence[GrantRow]) -> list[Row]:
    """Grants that somebody may know of, each with what they may do: end their own and their
    programs', and end or extend those of others on what they decide."""
    decided = {
        grant.id for grant in selectors.live_grants(actor, decides=True, only=ids_of(grants))
    }
    own = {grant.id for grant in selectors.live_grants(actor, mine=True, only=ids_of(grants))}
    return [
        Row(
            grant,
            may_end=grant.id in decided or (grant.id in own and not grant.holder_is_team),
            may_extend=grant.id in decided and grant.id not in own,
            is_own=grant.id in own,
        )
        for grant in grants
    ]


def ids_of(grants: Sequence[GrantRow]) -> frozenset[str]:
    return frozenset(grant.id for grant in grants)


@require_GET
def grant_list(request: HttpRequest) -> HttpResponse:
    """Every grant that the person may know of, the soonest ending first, a page at a time."""
    actor = request_actor(request)
    page = selectors.grants_page(actor, limit=PAGE, cursor=request.GET.get("cursor"))
    return render(
        request,
        "governance/grants.html",
        {
            "rows": rows_of(actor, page.items),
            "next": page.next,
            "decides": bool(selectors.live_grants(actor, decides=True, limit=1)),
        },
    )


@require_POST
def end(request: HttpRequest, grant_id: str) -> HttpResponse:
    grant = services.end_grant(grant_id, actor=request_actor(request))
    messages.success(
        request,
        f"Ended {grant.permission} of {grant.holder} on {grant.ref.key}.",
    )
    return _back(request, grant)


@require_POST
def extend(request: HttpRequest, grant_id: str) -> HttpResponse:
    """Have a grant of somebody else end later; what is wrong with it is said in a message."""
    actor = request_actor(request)
    grant = selectors.get_grant(actor, grant_id)
    try:
        until = end_of_day(request.POST.get("until", ""))
        if until is None:
            raise InvalidError("Say until when.")
        grant = extend_grant(grant_id, actor=actor, until=until, by_day=True)
    except NotFoundError:
        raise
    except InvalidError as error:
        messages.error(request, " ".join(fault.detail for fault in error.errors) or error.detail)
    else:
        messages.success(request, f"{grant.holder} holds it until {words.day(grant.valid_until)}.")
    return _back(request, grant)


def _back(request: HttpRequest, grant: GrantRow) -> HttpResponse:
    """To the page that the button stood on."""
    if request.POST.get("from") == "stream" and grant.ref.kind == "stream":
        return redirect("stream_access", name=grant.ref.key)
    return redirect("grant_list" if request.POST.get("from") == "list" else "access")


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
    page = selectors.grants_page(actor, decides=True, limit=PAGE, cursor=request.GET.get("cursor"))
    shown, following = page.items, page.next
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
