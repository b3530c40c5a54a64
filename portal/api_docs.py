"""The API's description: OpenAPI 3.1 for machines, a plain page of it for people."""

import inspect
from functools import cache
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from portal.checks import routes, served_methods
from portal.http.policy import POLICIES, declare, policy_of
from portal.kernel.errors import UnauthenticatedError

_SUMMARIES = {
    "GET": "Read",
    "POST": "Make or act",
    "PATCH": "Change",
    "PUT": "Replace",
    "DELETE": "Remove",
}
DESCRIPTION: Final = "Catalog, govern, ingest, deliver and learn from event streams."
PROBLEM: dict[str, Any] = {
    "type": "object",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "pointer": {"type": "string"},
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
    "required": ["type", "title", "status", "code", "detail", "instance", "errors"],
}


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document: every operation with its path parameters, policy and error shape."""
    paths: dict[str, dict[str, Any]] = {}
    for route, view in routes():
        words = policy_of(view) or {}
        if not route.startswith("api/v1/") or route.endswith("openapi.json"):
            continue
        path = "/" + _plain(route)
        for method in served_methods(view):
            paths.setdefault(path, {})[method.lower()] = _operation(
                path, method, view, words.get(method, "")
            )
    return {
        "openapi": "3.1.0",
        "info": {"title": "Event Portal", "version": "1", "description": DESCRIPTION},
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": {"Problem": PROBLEM},
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "A token or key."}
            },
        },
        "security": [{"key": []}],
    }


def _operation(path: str, method: str, view: Any, word: str) -> dict[str, Any]:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    words = [part for part in path.split("/")[3:] if not part.startswith("{")]
    text = inspect.getdoc(getattr(view, "cls", view)) or ""
    said = text.split("\n")[0] if getattr(view, "cls", None) and view.cls.__doc__ else ""
    return {
        "operationId": "_".join([method.lower(), *words, *(f"by_{name}" for name in names)]),
        "summary": said or f"{_SUMMARIES[method]}: {' '.join(words)}",
        "x-policy": word,
        "description": f"Who may: {POLICIES.get(word, word)}",
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in names
        ],
        "responses": {
            "2XX": {"description": "JSON.", "content": {"application/json": {}}},
            "default": {
                "description": "A problem document (RFC 9457).",
                "content": {
                    "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
                },
            },
        },
    }


def _plain(route: str) -> str:
    """`streams/<str:name>` as `streams/{name}`."""
    while "<" in route:
        start, end = route.index("<"), route.index(">")
        name = route[start + 1 : end].rsplit(":", maxsplit=1)[-1]
        route = f"{route[:start]}{{{name}}}{route[end + 1 :]}"
    return route


@require_GET
@declare(GET="public")
def openapi(request: HttpRequest) -> HttpResponse:
    _require_open(request)
    return JsonResponse(document())


@require_GET
@declare(GET="public")
def page(request: HttpRequest) -> HttpResponse:
    """Every operation on one page, without a script."""
    _require_open(request)
    operations = []
    for path, item in sorted(document()["paths"].items()):
        for method, operation in sorted(item.items()):
            operations.append(
                {
                    "method": method.upper(),
                    "path": path,
                    "verb": _SUMMARIES.get(method.upper(), ""),
                    "policy": operation.get("x-policy", "public"),
                    "who": POLICIES.get(operation.get("x-policy", "public"), ""),
                    "text": operation["summary"],
                }
            )
    return render(request, "portal/api_docs.html", {"operations": operations})


def _require_open(request: HttpRequest) -> None:
    """Refuse who is not signed in, where a setting closes the description."""
    if not settings.API_DOCS_PUBLIC and not request.user.is_authenticated:
        raise UnauthenticatedError
