"""The API's description: OpenAPI 3.1 for machines, a plain page of it for people."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET
from rest_framework.request import Request
from rest_framework.response import Response

from governance.api.base import ApiView
from portal.http.operations import operation
from portal.http.policy import POLICIES, declare
from portal.kernel.actor import Actor
from portal.kernel.errors import UnauthenticatedError
from portal.openapi import document


class OpenApi(ApiView):
    @operation("This description, as OpenAPI 3.1.")
    def get(self, request: Request) -> Response:
        if not settings.API_DOCS_PUBLIC and not isinstance(request.user, Actor):
            raise UnauthenticatedError
        return Response(document())


@csrf_exempt
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Every operation on one page, by resource, without a script."""
    if not settings.API_DOCS_PUBLIC and not request.user.is_authenticated:
        raise UnauthenticatedError
    resources: dict[str, list[dict[str, Any]]] = {}
    for path, item in document()["paths"].items():
        for method, said in item.items():
            resources.setdefault(said["tags"][0], []).append(_shown(path, method, said))
    return render(request, "portal/api_docs.html", {"resources": sorted(resources.items())})


def _shown(path: str, method: str, said: Mapping[str, Any]) -> dict[str, Any]:
    word = said["x-policy"]
    return {
        "method": method.upper(),
        "path": path,
        "text": said["summary"],
        "who": POLICIES.get(word, word),
        "scope": said.get("x-scope", ""),
        "parameters": [
            (part["name"], part["in"], part.get("required", False), _spelled(part["schema"]))
            for part in said["parameters"]
        ],
        "members": _members(said.get("requestBody")),
        "media": sorted((said.get("requestBody") or {}).get("content", {})),
        "statuses": sorted(said["responses"]),
    }


def _members(body: Mapping[str, Any] | None) -> list[tuple[str, bool, str]]:
    schema = (body or {}).get("content", {}).get("application/json", {}).get("schema", {})
    needed = schema.get("required", ())
    return [
        (name, name in needed, _spelled(part))
        for name, part in schema.get("properties", {}).items()
    ]


def _spelled(schema: Mapping[str, Any]) -> str:
    """A schema in a few words: `integer, 1 to 500`, `text, at most 120`."""
    if "description" in schema:
        return str(schema["description"])
    if "anyOf" in schema:
        return " or ".join(_spelled(part) for part in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    kind = str(schema.get("format") or schema.get("type") or "anything")
    if kind == "array":
        return f"list of {_spelled(schema.get('items', {}))}"
    if "minimum" in schema and "maximum" in schema:
        return f"{kind}, {schema['minimum']} to {schema['maximum']}"
    if "maxLength" in schema:
        return f"text, at most {schema['maxLength']}"
    return {"string": "text", "null": "null"}.get(kind, kind)
