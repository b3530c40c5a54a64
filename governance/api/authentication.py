"""Who calls the API: a session cookie or a credential in the Authorization header."""

import re
from typing import Any, Final, cast
from urllib.parse import unquote

from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request

from governance.middleware import request_actor
from governance.models import Key
from governance.pace import pace
from governance.second_factor import SecondFactorError, is_missing
from governance.seen import seen
from governance.selectors.people import actor_of
from governance.services.keys import credential_of, find_key
from portal.kernel.actor import Actor, ActorKind
from portal.kernel.errors import BadRequestError, NotPermittedError, UnauthenticatedError

_KINDS = {
    "prod": ActorKind.PRODUCER,
    "cons": ActorKind.CONSUMER,
    "flag": ActorKind.FLAG_CLIENT,
}
_KEY: Final = re.compile(r"ep_(user|prod|cons|flag)_[a-z0-9]{8}_")


class PortalAuthentication(BaseAuthentication):
    """Sets `request.user` to an `Actor`. A session needs a CSRF token on unsafe methods."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        if _KEY.search(unquote(request.META.get("QUERY_STRING", ""))):
            raise BadRequestError(
                "A key never goes into an address, where logs keep it: send it as a header, and "
                "revoke this one.",
                code="key_in_query",
            )
        header = request.headers.get("Authorization", "")
        if header:
            key = find_key(credential_of(header) or "")
            if key is None:
                raise UnauthenticatedError
            caller = key_actor(key, request_id=getattr(request, "request_id", ""))
            request._request.caller = caller  # type: ignore[attr-defined]  # named by the line in the log
            pace.keep(caller)
            return caller, key
        http = request._request
        if not http.user.is_authenticated:
            return None
        if request.method not in ("GET", "HEAD", "OPTIONS"):
            enforce_csrf(http)
        seen(http)
        actor = request_actor(http)
        pace.keep(actor)
        if is_missing(http, actor):
            raise SecondFactorError
        return actor, None

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="event-portal"'


def api_actor(request: Request) -> Actor:
    """The actor of an API request whose policy is not public (DRF's stubs say User)."""
    return cast(Actor, request.user)


def key_actor(key: Key, *, request_id: str) -> Actor:
    """The actor a live key acts as."""
    if key.user is not None:
        return actor_of(
            key.user, scopes=frozenset(key.scopes), key_id=key.id, request_id=request_id
        )
    return Actor(
        kind=_KINDS[key.kind],
        id=key.holder_id or 0,
        label=key.name,
        scopes=frozenset(key.scopes),
        key_id=key.id,
        streams=key.streams_glob,
        request_id=request_id,
    )


def enforce_csrf(request: HttpRequest) -> None:
    """Refuse an unsafe request of a session without the token of its pages."""
    try:
        SessionAuthentication().enforce_csrf(cast(Request, request))
    except PermissionDenied as error:
        raise NotPermittedError(
            "A session needs the CSRF token of its pages; a program sends a personal token.",
            code="csrf",
        ) from error
