"""The declared policy of an API view, judged after authentication."""

from typing import Any, Final

from rest_framework.exceptions import MethodNotAllowed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from governance.errors import PeopleOnlyError, RoleNeededError, ScopeNeededError
from governance.middleware import ADMIN_POLICIES, route_policy
from governance.models import Key
from governance.sudo import require_fresh
from portal.kernel.actor import Actor, ActorKind
from portal.kernel.errors import UnauthenticatedError

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
# The scope of a personal token that a policy asks for; others ask for `read` or `write`.
SCOPES: Final = {
    "access.decide": "approve",
    "stream.approve": "approve",
    "dead_letter.decide": "approve",
    "admin": "admin",
    "audit.read": "admin",
    "metrics": "metrics",
}
# What keys of programs may read: the open part of the catalog.
KEY_POLICIES: Final = frozenset({"signed_in", "stream.discover", "experiment.read"})


class DeclaredPolicy(BasePermission):
    """Deny by default. Scopes of a personal token narrow what its owner may do."""

    def has_permission(self, request: Request, view: Any) -> bool:
        method = request.method or ""
        if method == "OPTIONS":
            return True
        word = route_policy(view, method)
        if word is None:
            raise MethodNotAllowed(method)
        if word == "public":
            return True
        actor = request.user
        if not isinstance(actor, Actor):
            raise UnauthenticatedError
        if word == "credentials":
            return True
        if not actor.is_person:
            if method not in SAFE or word not in KEY_POLICIES or _is_public(actor, request.auth):
                raise PeopleOnlyError(word)
            return True
        scope = needed_scope(word, method)
        if scope not in actor.scopes:
            raise ScopeNeededError(scope)
        if word in ADMIN_POLICIES and not actor.is_admin:
            raise RoleNeededError("This is for admins.", word)
        if request.auth is None and method in getattr(view, "sudo", ()):
            require_fresh(request._request)
        return True


def needed_scope(word: str, method: str) -> str:
    """The scope that a personal token needs for a method under a policy."""
    if word == "read_only":
        return "read"
    return SCOPES.get(word) or ("read" if method in SAFE else "write")


def _is_public(actor: Actor, key: Any) -> bool:
    """Whether the key stands in web pages, where everybody can read it."""
    in_browsers = isinstance(key, Key) and bool(key.browser_origins)
    return actor.kind is ActorKind.FLAG_CLIENT or in_browsers
