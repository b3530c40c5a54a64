"""Pages of one team and of one person: who and what belongs to them, as the reader may know it."""

from typing import Any, Final

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from catalog.models import Stream
from catalog.selectors import parties
from catalog.selectors.streams import visible_streams
from governance.errors import RoleNeededError
from governance.forms_people import MemberForm
from governance.middleware import request_actor
from governance.models import Membership, Team, User
from governance.second_factor import has_one
from governance.selectors import people as selectors
from governance.selectors.answered import DAYS, pace_of
from governance.selectors.requests import live_grants
from governance.selectors.sign_in import sessions_of
from governance.services.invitations import may_be_invited
from governance.services.teams import add_member
from governance.sudo import sudo
from governance.types import Role
from portal.http import parameters
from portal.http.pagination import Page, paginate
from portal.kernel.actor import Actor
from portal.kernel.errors import ConflictError

_STREAMS: Final = 25
_PROGRAMS: Final = 50
_GRANTS: Final = 50
_PEOPLE: Final = 200


@require_http_methods(["GET", "POST"])
@sudo
def team(request: HttpRequest, slug: str) -> HttpResponse:
    """One team; who keeps it puts people into it here."""
    actor, found = request_actor(request), selectors.get_team(slug)
    manages, form = selectors.may_manage(actor, found), MemberForm(request.POST or None)
    if request.method == "POST":
        if not manages:
            raise RoleNeededError("Admins and leads of the team add people.", "team.manage")
        if form.is_valid() and (person := _added(form, found, actor)) is not None:
            messages.success(request, f"{person.name} is in the team now.")
            return redirect("team", slug)
    streams = _page(request, visible_streams(actor).filter(owner_team=found))
    return render(
        request,
        "catalog/team.html",
        {
            "team": found,
            "people": selectors.members_of(found).order_by("-is_lead", "user__name")[:_PEOPLE],
            "manages": manages,
            "is_by_group": selectors.is_by_group(found),
            "form": form,
            "streams": streams.items,
            "next": streams.next,
            "producers": parties.producers().filter(team=found).order_by("name")[:_PROGRAMS],
            "consumers": parties.consumers().filter(team=found).order_by("name")[:_PROGRAMS],
            "grants": live_grants(actor, team=found, limit=_GRANTS),
            "pace": pace_of(found),
            "days": DAYS,
        },
        status=422 if form.errors else 200,
    )


@require_GET
def person(request: HttpRequest, user_id: int) -> HttpResponse:
    """One person: their teams, and what these own; for admins, what is done to an account."""
    actor, found = request_actor(request), selectors.get_person(user_id)
    places = Membership.objects.filter(user=found).select_related("team").order_by("team__name")
    owned = visible_streams(actor).filter(owner_team__in=places.values("team"))
    streams = _page(request, owned)
    page: dict[str, Any] = {
        "person": found,
        "roles": selectors.role_names(found),
        "places": places[:_PEOPLE],
        "streams": streams.items,
        "next": streams.next,
    }
    if actor.is_admin:
        held = set(page["roles"])
        page |= {
            "all_roles": [(role.value, role.value in held) for role in Role],
            "sessions": sessions_of(found),
            "is_self": found.pk == actor.id,
            "has_factor": has_one(found.pk),
            "may_be_invited": may_be_invited(found),
        }
    return render(request, "catalog/person.html", page)


def _page(request: HttpRequest, rows: QuerySet[Stream]) -> Page[Stream]:
    asked = parameters.read(request.GET, {"cursor": parameters.text(2000)})
    return paginate(rows, order=("name",), limit=_STREAMS, cursor=asked.get("cursor"))


def _added(form: MemberForm, team: Team, actor: Actor) -> User | None:
    """Who was put into the team; None where the form says why not."""
    address = form.cleaned_data["email"].lower()
    person = User.objects.filter(email=address).first()
    if person is None:
        form.add_error("email", "There is no account of this address. An admin makes one first.")
        return None
    try:
        add_member(team, person, actor=actor, is_lead=form.cleaned_data["is_lead"])
    except ConflictError as error:
        form.add_error(None, error.detail)
        return None
    return person
