"""The policy of an API route, judged after authentication."""

from typing import Any

from rest_framework.exceptions import MethodNotAllowed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from governance.errors import PeopleOnlyError, RoleNeededError, ScopeNeededError
from governance.middleware import asked_policy
from governance.models import Key
from governance.sudo import require_fresh
from portal.http.policy import SAFE
from portal.kernel.actor import Actor, ActorKind
from portal.kernel.errors import UnauthenticatedError


class DeclaredPolicy(BasePermission):
    """Deny by default. Scopes of a personal token narrow what its owner may do."""

    def has_permission(self, request: Request, view: Any) -> bool:
        method = request.method or ""
        if method == "OPTIONS":
            return True
        policy = asked_policy(request)
        if policy is None:
            raise MethodNotAllowed(method)
        if policy.word == "public":
            return True
        actor = request.user
        if not isinstance(actor, Actor):
            raise UnauthenticatedError
        if policy.word == "credentials":
            return True
        if not actor.is_person:
            is_let_in = method in SAFE and policy.lets_in(actor.kind)
            if not is_let_in or _is_public(actor, request.auth):
                raise PeopleOnlyError(policy.word)
            return True
        scope = policy.scope_for(method)
        if scope not in actor.scopes:
            raise ScopeNeededError(scope)
        if policy.role is not None and not actor.has_role(policy.role):
            raise RoleNeededError("This is for admins.", policy.word)
        if request.auth is None and method in getattr(view, "sudo", ()):
            require_fresh(request._request)
        return True


def _is_public(actor: Actor, key: Any) -> bool:
    """Whether the key stands in web pages, where everybody can read it."""
    in_browsers = isinstance(key, Key) and bool(key.browser_origins)
    return actor.kind is ActorKind.FLAG_CLIENT or in_browsers
