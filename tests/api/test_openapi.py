"""The description: valid by the specification's own schema, complete, and true of every answer."""

import json
from importlib import resources
from typing import Any

import jsonschema_rs
import pytest
from django.test import Client
from pytest_django import Settings

from governance.models import SavedView
from governance.types import Permission, Role
from portal.openapi import document
from tests.api.conftest import ARGUMENTS, LETTER, NAME, Secret, addresses
from tests.api.test_walk import CASES
from tests.support.factories import make_grant, make_person, token_of

pytestmark = pytest.mark.django_db
# The schema that the OpenAPI Initiative publishes, out of the package that carries it.
SPECIFICATION = json.loads(
    resources.files("openapi_spec_validator")
    .joinpath("resources/schemas/v3.1/schema.json")
    .read_text()
)
NEEDED = {
    f"/api/v1/streams/{NAME}/code": "language=typescript",
    "/api/v1/rollups/stream_counts/query": f"stream={NAME}",
    "/api/v1/grants/explain": f"resource=stream:{NAME}",
    f"/api/v1/dead-letters/{LETTER}/reveal": "reason=case+17",
}


def test_the_description_is_valid_openapi_3_1() -> None:
    answer = Client().get("/api/v1/openapi.json")
    assert answer.status_code == 200
    found = answer.json()
    validator = jsonschema_rs.Draft202012Validator(SPECIFICATION)
    assert [str(error) for error in validator.iter_errors(found)] == []
    for name, schema in found["components"]["schemas"].items():
        jsonschema_rs.meta.validate(schema)
        assert schema, name
    for item in found["paths"].values():
        for operation in item.values():
            for content in (operation.get("requestBody") or {}).get("content", {}).values():
                jsonschema_rs.meta.validate(content["schema"])


def test_it_names_every_route_and_method_that_machines_may_call() -> None:
    served = {
        (method.lower(), path)
        for path, method, _ in CASES
        if path.startswith(("/api/v1/", "/v1/", "/livez", "/readyz", "/metrics"))
    }
    operations = [
        (method, path, operation)
        for path, item in document()["paths"].items()
        for method, operation in item.items()
    ]
    assert len(operations) == len(served)
    identifiers = [operation["operationId"] for _, _, operation in operations]
    assert len(set(identifiers)) == len(identifiers)
    for method, _, operation in operations:
        headers = {part["name"] for part in operation["parameters"] if part["in"] == "header"}
        assert ("If-Match" in headers) == (method in ("put", "patch", "delete"))


def test_every_answer_has_the_shape_that_is_described(secret: Secret) -> None:
    person = make_person(Role.ADMIN, team=secret.team)
    make_grant(secret.stream, person, Permission.READ_PERSONAL)
    SavedView.objects.filter(pk=ARGUMENTS["view_id"]).update(owner=person)
    client = Client(headers={"Authorization": f"Bearer {token_of(person)}"})
    described = document()
    templates = {_plain(path): path for path in described["paths"]}
    wrong, judged = [], 0
    for path, view in ((one.path, one.view) for one in addresses(secret)):
        template = templates.get(_plain_address(path, view, templates))
        if template is None or "get" not in described["paths"][template] or "export" in path:
            continue
        answer = client.get(f"{path}?{NEEDED.get(path, '')}")
        if template in ("/api/v1/keys/{key_id}", "/api/v1/delegations/{delegation_id}"):
            assert answer.status_code == 404
            continue
        if template == "/v1/projects/{write_key}/settings":
            assert answer.status_code == 401, "a producer's key alone is taken"
            continue
        assert answer.status_code == 200, (path, answer.content)
        content = described["paths"][template]["get"]["responses"]["200"]["content"]
        schema = content.get("application/json", {}).get("schema")
        if not schema:
            continue
        whole = {**schema, "components": described["components"]}
        validator = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
        faults = [str(error) for error in validator.iter_errors(answer.json())]
        undeclared = _undeclared(answer.json(), schema, described)
        if faults or undeclared:
            wrong.append((path, faults, undeclared))
        judged += 1
    assert wrong == []
    assert judged > 40


def _plain(path: str) -> str:
    return "/".join("*" if part.startswith("{") else part for part in path.split("/"))


def _plain_address(path: str, view: Any, templates: dict[str, str]) -> str:
    """The template of an address: the one of the same length that fits best."""
    parts = path.split("/")
    fitting = [
        plain
        for plain in templates
        if len(plain.split("/")) == len(parts)
        and all(a in ("*", b) for a, b in zip(plain.split("/"), parts, strict=True))
    ]
    return min(fitting, key=lambda plain: plain.count("*"), default="")


def _undeclared(value: Any, schema: dict[str, Any], described: dict[str, Any]) -> list[str]:
    """Members of an answer that its description does not name; events may have more of their own."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return (
            []
            if name in {"EventBody", "EventLifeBody"}
            else _undeclared(value, described["components"]["schemas"][name], described)
        )
    found: list[str] = []
    if isinstance(value, dict) and "properties" in schema:
        for key, item in value.items():
            if key not in schema["properties"]:
                found.append(key)
            else:
                found += _undeclared(item, schema["properties"][key], described)
    if isinstance(value, list) and "items" in schema:
        for item in value:
            found += _undeclared(item, schema["items"], described)
    return found


def test_the_readable_page_lists_them_without_a_script() -> None:
    answer = Client().get("/api/docs")
    assert answer.status_code == 200
    assert b"POST /api/v1/streams" in answer.content
    for words in (b"Idempotency-Key", b"integer, 1 to 500", b"(needed)"):
        assert words in answer.content


def test_a_setting_closes_the_description(settings: Settings) -> None:
    settings.API_DOCS_PUBLIC = False
    for path in ("/api/v1/openapi.json", "/api/docs"):
        assert Client().get(path).status_code == 401
    token = token_of(make_person(), "read")
    headers = {"Authorization": f"Bearer {token}"}
    assert Client().get("/api/v1/openapi.json", headers=headers).status_code == 200
