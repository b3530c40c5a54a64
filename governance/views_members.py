"""What is done to one person's place in a team, by who keeps the team."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from governance.errors import RoleNeededError
from governance.middleware import request_actor
from governance.selectors.people import get_member, get_team, may_manage
from governance.services import teams
from governance.sudo import sudo
from portal.kernel.errors import BadRequestError, ConflictError, PreconditionFailedError, sentence


@require_POST
@sudo
def member(request: HttpRequest, slug: str, user_id: int) -> HttpResponse:
    """Make somebody a lead, a member as others, or take them out, by the pressed button."""
    actor, team = request_actor(request), get_team(slug)
    if not may_manage(actor, team):
        raise RoleNeededError("Admins and leads of the team say who is in it.", "team.manage")
    place, do = get_member(team, user_id), request.POST.get("do", "")
    name = place.user.name
    try:
        if do == "remove":
            teams.remove_member(team, place.user, actor=actor)
            said = f"{name} is out of the team. What came by it ended at once."
        elif do in ("lead", "member"):
            teams.set_lead(place, do == "lead", actor=actor)
            said = f"{name} leads the team now." if do == "lead" else f"{name} leads it no longer."
        else:
            raise BadRequestError("The form lacks what is to be done.")
    except (ConflictError, PreconditionFailedError) as error:
        messages.error(request, sentence(error))
    else:
        messages.success(request, said)
    return redirect("team", slug)
