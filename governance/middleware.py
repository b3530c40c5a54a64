"""One gate in front of every view: its declared policy, judged before it runs.

Views without a declaration are refused (start-up checks refuse them as well). Object permissions
are asked for by selectors and services; the gate settles who may reach the route at all.
"""

from collections.abc import Callable
from typing import Any, cast

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from governance.models import User
from governance.second_factor import SET_UP_AT, is_missing
from governance.seen import seen
from governance.selectors.people import actor_of
from portal.http.policy import policy_of
from portal.http.problem import respond, wants_document
from portal.kernel.actor import Actor
from portal.kernel.errors import NotPermittedError

# Views of libraries, by module prefix: what they ask of their caller.
LIBRARY_POLICIES = {
    "allauth.account": "public",
    # Steps of signing in, and pages that ask themselves for who is signed in.
    "allauth.mfa": "public",
    "django.views.static": "public",
}
# What is open to somebody whose role asks for a second factor, until there is one.
SET_UP_PAGES = frozenset({"second_factor", "confirm", "notifications_bell"})
ADMIN_POLICIES = frozenset({"admin", "audit.read"})


def route_policy(view: object, method: str) -> str | None:
    """The policy word of a view and method, its own or its library's; None without one."""
    declared = policy_of(view)
    if declared is not None:
        return declared.get(method)
    holder = getattr(view, "cls", None) or getattr(view, "view_class", None) or view
    module = getattr(holder, "__module__", "")
    for prefix, word in LIBRARY_POLICIES.items():
        if module == prefix or module.startswith(prefix + "."):
            return word
    return None


class EnforcePolicy:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Any, args: Any, kwargs: Any
    ) -> HttpResponse | None:
        """The answer in the view's place: a refusal, or the way to sign in. None lets it run.

        Under machine addresses whoever is not signed in passes: views there ask for credentials.
        """
        if getattr(view, "cls", None) is not None:
            return None  # an API view: governance.api.permissions judges it after authentication
        declared = policy_of(view)
        word = route_policy(view, request.method or "")
        if word is None:
            if declared is not None:
                return None  # the view answers 405 itself
            return respond(request, NotPermittedError("This route declares no policy."))
        if word == "public":
            return None
        if not request.user.is_authenticated:
            if wants_document(request):
                return None
            return redirect_to_login(request.get_full_path())
        seen(request)
        actor = request_actor(request)
        if getattr(request.resolver_match, "url_name", "") not in SET_UP_PAGES and is_missing(
            request, actor
        ):
            return redirect(SET_UP_AT)
        if word in ADMIN_POLICIES and not actor.is_admin:
            return respond(request, NotPermittedError("This page is for admins."))
        return None


def request_actor(request: HttpRequest) -> Actor:
    """The actor of a signed-in browser request, read once per request."""
    actor = getattr(request, "actor", None)
    if actor is None:
        actor = actor_of(cast(User, request.user), request_id=getattr(request, "request_id", ""))
        request.actor = actor  # type: ignore[attr-defined]  # cached for the request
    return cast(Actor, actor)
