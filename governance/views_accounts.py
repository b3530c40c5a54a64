"""What admins do to accounts, on a person's page: roles, sessions, closing and opening."""

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from governance.middleware import request_actor
from governance.models import Team, User
from governance.services import accounts
from governance.services.company_sign_in import set_sign_in_group
from governance.services.sessions import end_sessions_of
from governance.sudo import sudo
from portal.http import words
from portal.kernel.errors import (
    InvalidError,
    InvalidStateError,
    NotFoundError,
    PortalError,
    sentence,
)


@require_POST
@sudo
def roles(request: HttpRequest, user_id: int) -> HttpResponse:
    """Give a person the ticked roles and no others."""
    person, wanted = _person(user_id), request.POST.getlist("roles")
    return _done(
        request,
        person,
        lambda: accounts.change_roles(person, wanted, actor=request_actor(request)),
        "The roles are changed. They hold from the next page on.",
    )


@require_POST
@sudo
def end_sessions(request: HttpRequest, user_id: int) -> HttpResponse:
    person = _person(user_id)
    ended = end_sessions_of(person, actor=request_actor(request))
    said = words.capitalized(words.counted(ended, "session"))
    messages.success(request, f"{said} ended. {person.name} signs in again or stays away.")
    return redirect("person", user_id)


@require_POST
@sudo
def set_open(request: HttpRequest, user_id: int) -> HttpResponse:
    """Close or open an account, by the pressed button."""
    person, actor = _person(user_id), request_actor(request)
    if request.POST.get("open") == "yes":
        return _done(
            request,
            person,
            lambda: accounts.enable_person(person, actor=actor),
            "The account is open again.",
        )
    return _done(
        request,
        person,
        lambda: accounts.disable_person(person, actor=actor),
        "The account is closed: signed out everywhere, and its tokens are refused.",
    )


@require_POST
@sudo
def remove_factors(request: HttpRequest, user_id: int) -> HttpResponse:
    person = _person(user_id)
    return _done(
        request,
        person,
        lambda: accounts.remove_factors(person, actor=request_actor(request)),
        "Their second factors are removed; the password alone lets them in until they set up new ones.",
    )


@require_POST
@sudo
def team_group(request: HttpRequest, slug: str) -> HttpResponse:
    """Tie a team to a group at the company's sign-in, or have it kept by hand again."""
    team = Team.objects.filter(slug=slug).first()
    if team is None:
        raise NotFoundError
    try:
        set_sign_in_group(team, request.POST.get("group", ""), actor=request_actor(request))
    except PortalError as error:
        messages.error(request, sentence(error))
    else:
        messages.success(request, "Saved. It holds from each person's next sign-in on.")
    return redirect("team", slug)


def _person(user_id: int) -> User:
    found = User.objects.filter(pk=user_id).first()
    if found is None:
        raise NotFoundError
    return found


def _done(request: HttpRequest, person: User, act: Callable[[], None], said: str) -> HttpResponse:
    try:
        act()
    except (InvalidStateError, InvalidError) as error:
        messages.error(request, sentence(error))
    else:
        messages.success(request, said)
    return redirect("person", person.pk)
