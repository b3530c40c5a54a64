"""The OpenAPI 3.1 document, made of what the views declare: routes, policies and operations.

Query parameters and bodies are described by the readers that refuse them, answers by the
`TypedDict`s that the renderers return; nothing is said twice.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import msgspec
from django.conf import settings

from portal.checks import routes, served_methods
from portal.http.described import Schema, schema_of
from portal.http.operations import Operation, operation_of
from portal.http.parameters import NEVER_EMPTY
from portal.http.policy import Policy, matrix

DESCRIPTION: Final = (
    "Catalog, govern, ingest, deliver and learn from event streams. Send a personal token as "
    "`Authorization: Bearer ep_user_…`. Lists are `{items, next}` and take `limit` and `cursor`. "
    "Errors are problem documents (RFC 9457). A change needs `If-Match` with the ETag that was "
    "read; a POST may carry an `Idempotency-Key`. Times are RFC 3339 in UTC with microseconds."
)
_MACHINE: Final = ("api/v1/", "v1/", "livez", "readyz", "metrics")
_REF: Final = "#/components/schemas/{name}"
_TITLES: Final = {
    400: "It cannot be read: syntax, a type, an unknown member or parameter.",
    401: "No or bad credentials.",
    403: "You may know of it, but not do this; `permission` and `request_at` say what to ask for.",
    404: "It does not exist, or you may not know of it.",
    409: "In conflict with the present state.",
    412: "It was changed since it was read.",
    413: "The body is too large.",
    415: "The media type, encoding or charset is not understood.",
    422: "Read, but it breaks a rule.",
    428: "If-Match is needed.",
    429: "Too many requests; Retry-After says when to try again.",
    503: "Not available just now; Retry-After says when to try again.",
}
PROBLEM: Final[Schema] = {
    "type": "object",
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "instance": {"type": "string", "description": "The request's id, as in X-Request-Id."},
        "errors": {
            "type": "array",
            "maxItems": 20,
            "items": {
                "type": "object",
                "properties": {
                    "pointer": {"type": "string", "format": "json-pointer"},
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                },
                "required": ["pointer", "code", "detail"],
                "additionalProperties": False,
            },
        },
        "permission": {"type": "string"},
        "request_at": {"type": "string", "format": "uri-reference"},
    },
    "required": ["type", "title", "status", "code", "detail", "instance", "errors"],
}
_PATTERNS: Final[dict[str, Schema]] = {
    "uuid": {"type": "string", "format": "uuid"},
    "int": {"type": "integer", "minimum": 0},
    "slug": {"type": "string", "pattern": "^[-a-zA-Z0-9_]+$"},
}
_IF_MATCH: Final[Schema] = {
    "name": "If-Match",
    "in": "header",
    "required": True,
    "description": "The ETag of the resource as it was read.",
    "schema": {"type": "string"},
}
_IDEMPOTENCY_KEY: Final[Schema] = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key and body within 24 hours: the first answer again.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}


@dataclass(frozen=True, slots=True)
class Served:
    """One method of one address, with what its view declares."""

    path: str
    places: tuple[tuple[str, str], ...]
    method: str
    policy: Policy
    operation: Operation


def served() -> Iterator[Served]:
    """Every operation that machines may call, in the order of the routes."""
    for route, view in routes():
        plain = route.replace("^", "").replace("/?$", "")
        if not plain.startswith(_MACHINE):
            continue
        path, places = _address(plain)
        for method in served_methods(route, view):
            found = operation_of(view, method)
            policy = matrix().policy(route, method)
            assert found is not None, f"{method} {path} declares no operation"
            assert policy is not None, f"{method} {path} has no policy"
            yield Served(path, places, method, policy, found)


@cache
def document() -> dict[str, Any]:
    """The whole document; it changes only with the code."""
    operations = list(served())
    shapes = _shapes([one.operation.gives for one in operations if one.operation.gives])
    paths: dict[str, dict[str, Any]] = {}
    for one in operations:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one, shapes.refs)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Event Portal", "version": "1", "description": DESCRIPTION},
        "servers": [{"url": settings.PUBLIC_URL}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": {"Problem": PROBLEM, **shapes.components},
            "responses": {f"Problem{status}": _problem(said) for status, said in _TITLES.items()},
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A personal token or a key.",
                },
                "basic": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "The same as the user name, with an empty password.",
                },
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": settings.SESSION_COOKIE_NAME,
                    "description": "A signed-in browser; changes need its CSRF token as well.",
                },
            },
        },
        "security": [{"key": []}, {"basic": []}, {"session": []}],
    }


@dataclass(frozen=True, slots=True)
class _Shapes:
    refs: Mapping[int, Schema]
    components: Mapping[str, Schema]


def _shapes(types: Sequence[Any]) -> _Shapes:
    found, components = msgspec.json.schema_components(types, ref_template=_REF)
    refs = {id(shape): ref for shape, ref in zip(types, found, strict=True)}
    return _Shapes(refs, components)


def _operation(one: Served, refs: Mapping[int, Schema]) -> Schema:
    words = [part for part in one.path.split("/") if part and "{" not in part]
    names = [name for name, _ in one.places]
    described: Schema = {
        "operationId": "_".join([one.method.lower(), *words, *(f"by_{name}" for name in names)]),
        "tags": [_resource(one.path)],
        "summary": one.operation.says,
        "description": f"Who may: {one.policy.says}",
        "x-policy": one.policy.word,
        "parameters": _parameters(one),
        "responses": _responses(one, refs),
    }
    if one.policy.word == "public":
        described["security"] = []
    elif one.policy.word not in ("credentials", "producer"):
        described["x-scope"] = one.policy.scope_for(one.method)
    if content := _content(one.operation):
        needed = bool(one.operation.accepts) or bool(
            one.operation.body and one.operation.body.required
        )
        described["requestBody"] = {"required": needed, "content": content}
    return described


def _parameters(one: Served) -> list[Schema]:
    found: list[Schema] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": _PATTERNS.get(kind, {"type": "string"}),
        }
        for name, kind in one.places
    ]
    found += [
        {
            "name": name,
            "in": "query",
            "schema": schema_of(reader),
            "allowEmptyValue": name not in NEVER_EMPTY,
        }
        for name, reader in one.operation.takes.items()
    ]
    if one.method in ("PUT", "PATCH", "DELETE"):
        found.append(_IF_MATCH)
    if one.method == "POST" and one.path.startswith("/api/v1/"):
        found.append(_IDEMPOTENCY_KEY)
    return found


def _content(operation: Operation) -> Schema:
    if operation.accepts:
        return {media: {"schema": dict(schema)} for media, schema in operation.accepts.items()}
    return {"application/json": {"schema": operation.body.schema}} if operation.body else {}


def _responses(one: Served, refs: Mapping[int, Schema]) -> Schema:
    operation = one.operation
    answer: Schema = {"description": operation.says, "headers": _headers(one)}
    if operation.status != 204:
        shape = refs[id(operation.gives)] if operation.gives else {}
        answer["content"] = {operation.media: {"schema": shape}}
    good = {str(status): answer for status in (operation.status, *operation.also)}
    refused = {
        str(status): {"$ref": f"#/components/responses/Problem{status}"}
        for status in sorted(_refusals(one))
    }
    return good | refused


def _headers(one: Served) -> Schema:
    text: Schema = {"schema": {"type": "string"}}
    headers: Schema = {"X-Request-Id": text}
    if one.path.startswith("/api/v1/") and one.operation.status in (200, 201):
        headers["ETag"] = text
    return headers


def _refusals(one: Served) -> set[int]:
    """The statuses that an operation may refuse with, by what it takes."""
    found = {503, *one.operation.refuses}
    if one.path.startswith("/api/v1/"):
        found.add(400)
    if one.policy.word != "public":
        found |= {401, 403}
    if one.places:
        found.add(404)
    if one.operation.body or one.operation.accepts:
        found |= {400, 413, 415, 422}
    if one.method == "POST" and one.path.startswith("/api/v1/"):
        found |= {404, 409, 422}
    if one.method in ("PUT", "PATCH", "DELETE"):
        found |= {412, 428}
    return found


def _problem(said: str) -> Schema:
    shape = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {"description": said, "content": {"application/problem+json": shape}}


def _resource(path: str) -> str:
    return path.removeprefix("/api/v1").strip("/").split("/")[0]


def _address(route: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """`streams/<name:name>` as `/streams/{name}`, with its places and their kinds."""
    places = []
    while "<" in route:
        start, end = route.index("<"), route.index(">")
        kind, _, name = route[start + 1 : end].rpartition(":")
        places.append((name, kind))
        route = f"{route[:start]}{{{name}}}{route[end + 1 :]}"
    return f"/{route}", tuple(places)
