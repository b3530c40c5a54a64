"""Pages on which an admin makes a person, and has another link made for who has not come yet."""

from typing import Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from governance.forms_people import PersonForm
from governance.forms_policies import place_faults
from governance.middleware import request_actor
from governance.models import Team
from governance.selectors.people import get_person, is_by_group
from governance.services import invitations
from governance.services.invitations import Handed, Invited
from governance.services.notices import is_mail_on
from governance.sudo import sudo
from portal.kernel.errors import ConflictError, InvalidError, InvalidStateError, sentence

_MOST_TEAMS: Final = 100
_SAID: Final = {
    Handed.MAILED: "A link to choose a password is on its way to them. It opens once, within an hour.",
    Handed.COMPANY: "They sign in at the company, with this address.",
}


@require_http_methods(["GET", "POST"])
@sudo
def new_person(request: HttpRequest) -> HttpResponse:
    """Make a person; where no mail is sent, their link is shown this once."""
    teams = [team for team in Team.objects.order_by("name")[:_MOST_TEAMS] if not is_by_group(team)]
    form = PersonForm(request.POST or None, teams=teams)
    if request.method == "POST" and form.is_valid():
        try:
            invited = invitations.create_person(form.person, actor=request_actor(request))
        except (InvalidError, ConflictError) as error:
            place_faults(form, error)
        else:
            return _handed(request, invited, "The account is made.")
    return render(
        request,
        "governance/person_new.html",
        {"form": form, "is_mail_on": is_mail_on()},
        status=422 if form.errors else 200,
    )


@require_POST
@sudo
def new_link(request: HttpRequest, user_id: int) -> HttpResponse:
    """Another link for who has never signed in."""
    person = get_person(user_id)
    try:
        invited = invitations.invite_again(person, actor=request_actor(request))
    except InvalidStateError as error:
        messages.error(request, sentence(error))
        return redirect("person", person.pk)
    return _handed(request, invited, "Another link is made.")


def _handed(request: HttpRequest, invited: Invited, said: str) -> HttpResponse:
    """Where the admin goes on: the person's page, or the one page that shows the link."""
    if invited.handed is Handed.SHOWN:
        shown = {"person": invited.person, "link": invited.link, "said": said}
        return render(request, "governance/person_link.html", shown)
    if invited.handed is Handed.NOT_MAILED:
        messages.error(request, f"{said} The mail server did not take the mail: try another link.")
    else:
        messages.success(request, f"{said} {_SAID[invited.handed]}")
    return redirect("person", invited.person.pk)
