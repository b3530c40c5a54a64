"""One gate in front of every view: the policy of its route, judged before it runs.

Routes that the matrix does not name are refused (start-up checks refuse them as well). Object
permissions are asked for by selectors and services; the gate settles who may reach the route at all.
"""

from collections.abc import Callable
from typing import Any, cast

from django.contrib.auth import logout
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from governance.errors import RoleNeededError
from governance.models import User
from governance.pace import pace
from governance.refusals import note_refusal
from governance.second_factor import SET_UP_AT, is_missing
from governance.seen import is_over, seen
from governance.selectors.people import actor_of
from portal.http.policy import Policy, matrix
from portal.http.problem import MethodNotAllowedError, respond, wants_document
from portal.kernel.actor import Actor
from portal.kernel.errors import NotPermittedError, RateLimitedError

# What is open to somebody whose role asks for a second factor, until there is one.
SET_UP_PAGES = frozenset({"second_factor", "confirm", "notifications_bell"})


def asked_policy(request: HttpRequest) -> Policy | None:
    """What the matrix asks of whoever calls the route of a request by its method, if it names it."""
    match = request.resolver_match
    return matrix().policy(match.route, request.method or "") if match is not None else None


class EnforcePolicy:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        note_refusal(request)
        return response

    def process_view(
        self, request: HttpRequest, view: Any, args: Any, kwargs: Any
    ) -> HttpResponse | None:
        """The answer in the view's place: a refusal, or the way to sign in. None lets it run.

        Under machine addresses whoever is not signed in passes: views there ask for credentials.
        """
        if is_over(request):
            logout(request)
        if getattr(view, "cls", None) is not None:
            return None  # an API view: governance.api.permissions judges it after authentication
        policy = asked_policy(request)
        if policy is None:
            return self._refusal(request)
        if policy.word == "public":
            return None
        if not request.user.is_authenticated:
            if wants_document(request):
                return None
            return redirect_to_login(request.get_full_path())
        seen(request)
        actor = request_actor(request)
        try:
            pace.keep(actor)
        except RateLimitedError as error:
            return respond(request, error)  # what is raised here would be no answer
        if getattr(request.resolver_match, "url_name", "") not in SET_UP_PAGES and is_missing(
            request, actor
        ):
            return redirect(SET_UP_AT)
        if policy.role is not None and not actor.has_role(policy.role):
            return respond(request, RoleNeededError("This page is for admins.", policy.role))
        return None

    def _refusal(self, request: HttpRequest) -> HttpResponse | None:
        """The answer to a method that a route has not, or to a route that nobody declared."""
        route = request.resolver_match.route if request.resolver_match is not None else ""
        methods = matrix().methods(route)
        if not methods:
            return respond(request, NotPermittedError("This route declares no policy."))
        if request.method == "OPTIONS":
            return None  # what a browser asks before another site's request; the view says
        refusal = respond(request, MethodNotAllowedError("The Allow header lists what is."))
        refusal["Allow"] = ", ".join(methods)
        return refusal


def request_actor(request: HttpRequest) -> Actor:
    """The actor of a signed-in browser request, read once per request."""
    actor = getattr(request, "actor", None)
    if actor is None:
        actor = actor_of(cast(User, request.user), request_id=getattr(request, "request_id", ""))
        request.actor = actor  # type: ignore[attr-defined]  # cached for the request
        request.caller = actor  # type: ignore[attr-defined]  # named by the line in the log
    return cast(Actor, actor)
