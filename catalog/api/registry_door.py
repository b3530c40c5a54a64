"""The way into the registry facade: credentials, bodies and errors as Confluent's clients know them.

No sessions, no cookies, no redirects. The credential is a personal token or a producer's key: as
Bearer, as Basic user name, or as Basic password of any user name.
"""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from django.http import HttpRequest, HttpResponse
from django.http.request import RawPostDataException, UnreadablePostError
from django.views.decorators.csrf import csrf_exempt

from catalog.registry.errors import RegistryError, denied
from governance import keys
from governance.api.authentication import key_actor
from governance.models import Key
from governance.services.keys import find_key
from portal.kernel import inflate, strict_json
from portal.kernel.actor import Actor, ActorKind
from portal.kernel.errors import (
    BadRequestError,
    NotPermittedError,
    PortalError,
    TooLargeError,
    UnsupportedMediaError,
)

MEDIA_TYPES: Final = (
    "application/vnd.schemaregistry.v1+json",
    "application/vnd.schemaregistry+json",
    "application/json",
)
_CODES: Final = {"schema_invalid": 42201, "name": 42208}
_CHALLENGE: Final = 'Bearer realm="event-portal", Basic realm="event-portal"'
_SCOPES: Final = {"registry.read": "read", "registry.write": "write"}
_HOLDERS: Final = frozenset({ActorKind.PERSON, ActorKind.PRODUCER})


@dataclass(frozen=True, slots=True)
class Call:
    """One request: who asks, with which parameters, and what was sent."""

    request: HttpRequest
    actor: Actor
    query: Mapping[str, str]

    def body(self) -> Any:
        """The JSON that was sent. Raises PortalError for what cannot be read."""
        _check_media_type(self.request)
        encoding = inflate.check_encoding(self.request.headers.get("Content-Encoding", ""))
        return strict_json.decode_document(inflate.inflate(_read(self.request), encoding))


@dataclass(frozen=True, slots=True)
class Raw:
    """An answer that is JSON text already: a schema as it was sent."""

    text: str


Handler = Callable[..., Any]


def route(**handlers: tuple[str, Handler]) -> Callable[..., HttpResponse]:
    """A view that answers each HTTP method by a handler, each with its policy.

    A handler takes the call and the decoded parts of the path and gives a JSON value.
    """

    @csrf_exempt
    def view(request: HttpRequest, **parts: str) -> HttpResponse:
        try:
            actor = _authenticate(request)
            method = "GET" if request.method == "HEAD" else request.method or ""
            if method not in handlers:
                raise RegistryError(
                    405,
                    405,
                    "HTTP 405 Method Not Allowed",
                    headers={"Allow": ", ".join(handlers)},
                )
            word, handler = handlers[method]
            _require_scope(actor, _SCOPES[word])
            call = Call(request, actor, {name: request.GET[name] for name in request.GET})
            value = handler(call, **{name: _decoded(part) for name, part in parts.items()})
        except RegistryError as error:
            return _respond(error.as_dict(), error.status, error.headers)
        text = value.text if isinstance(value, Raw) else json.dumps(value, ensure_ascii=False)
        return _respond_text(text, 200, _media_type(request))

    return view


def shape(error: PortalError) -> HttpResponse:
    """Any other error of the portal in the registry's shape."""
    code = _CODES.get(error.code, 40301 if isinstance(error, NotPermittedError) else error.status)
    faults = "; ".join(f"{one.pointer or '#'} {one.detail}" for one in error.errors)
    message = f"{error.detail} {faults}".strip()
    return _respond({"error_code": code, "message": message}, error.status, error.headers)


def _respond(body: Mapping[str, Any], status: int, headers: Mapping[str, str]) -> HttpResponse:
    response = _respond_text(json.dumps(body, ensure_ascii=False), status, MEDIA_TYPES[0])
    for name, value in headers.items():
        response[name] = value
    return response


def _respond_text(text: str, status: int, media_type: str) -> HttpResponse:
    content = text.encode("utf-8", "surrogatepass")
    response = HttpResponse(content, status=status, content_type=media_type)
    response["Cache-Control"] = "no-store"
    return response


def _authenticate(request: HttpRequest) -> Actor:
    """The actor behind the credential; one RegistryError 401 for all causes without one."""
    if any(keys.parse(value) for name in request.GET for value in request.GET.getlist(name)):
        raise RegistryError(400, 400, "Send a key in the Authorization header only.")
    key = next(filter(None, map(find_key, _credentials(request))), None)
    if key is None:
        raise RegistryError(
            401,
            401,
            "Send a valid personal token or producer key, as Bearer, Basic user name or Basic "
            "password.",
            headers={"WWW-Authenticate": _CHALLENGE},
        )
    return _actor(key, request)


def _actor(key: Key, request: HttpRequest) -> Actor:
    actor = key_actor(key, request_id=getattr(request, "request_id", ""))
    if actor.kind not in _HOLDERS:
        raise denied("The registry takes personal tokens and keys of producers.")
    return actor


def _credentials(request: HttpRequest) -> list[str]:
    scheme, _, rest = request.headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer":
        return [rest.strip()]
    if scheme.lower() != "basic":
        return []
    try:
        name, _, password = base64.b64decode(rest.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return []
    return [name, password]


def _require_scope(actor: Actor, scope: str) -> None:
    if actor.is_person and scope not in actor.scopes:
        raise denied(f"The token lacks the scope {scope}.")


def _decoded(part: str) -> str:
    try:
        return unquote(part, errors="strict")
    except UnicodeDecodeError:
        raise RegistryError(400, 400, "The address is not UTF-8.") from None


def _media_type(request: HttpRequest) -> str:
    """The first of the registry's media types that the client accepts."""
    accepted = request.headers.get("Accept", "")
    return next((one for one in MEDIA_TYPES if one in accepted), MEDIA_TYPES[0])


def _check_media_type(request: HttpRequest) -> None:
    named, _, parameters = request.headers.get("Content-Type", "").partition(";")
    charset = parameters.strip().lower().replace('"', "").removeprefix("charset=")
    if named.strip().lower() not in ("", *MEDIA_TYPES) or (
        "charset=" in parameters.lower() and charset not in ("utf-8", "utf8")
    ):
        raise UnsupportedMediaError(f"Send {MEDIA_TYPES[0]} in UTF-8.")


def _read(request: HttpRequest) -> bytes:
    try:
        body = bytes(request.read(inflate.MAX_SENT_BYTES + 1))
    except (UnreadablePostError, RawPostDataException, OSError) as error:
        raise BadRequestError("The body cannot be read.", code="body") from error
    if len(body) > inflate.MAX_SENT_BYTES:
        raise TooLargeError("A body may have at most 5 MiB as sent.")
    return body
