"""The declared policy of an API view, judged after authentication."""

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from governance.middleware import ADMIN_POLICIES, route_policy
from portal.kernel.actor import Actor
from portal.kernel.errors import NotPermittedError, UnauthenticatedError

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class DeclaredPolicy(BasePermission):
    """Deny by default. Scopes of a personal token narrow what its owner may do."""

    def has_permission(self, request: Request, view: Any) -> bool:
        word = route_policy(view, request.method or "")
        if word == "public":
            return True
        if word is None:
            raise NotPermittedError("This route declares no policy for this method.")
        actor = request.user
        if not isinstance(actor, Actor):
            raise UnauthenticatedError
        needed = "read" if request.method in SAFE else "write"
        if actor.is_person and needed not in actor.scopes:
            raise NotPermittedError(f"The token lacks the scope {needed}.", code="scope")
        if word in ADMIN_POLICIES and not actor.is_admin:
            raise NotPermittedError("This is for admins.", code="role")
        return True
