"""What every operation of the API keeps: parameters, lists, cursors, ETags, methods, bodies, times."""

import gzip
import json
import re
from typing import Any

import pytest
import zstandard
from django.test import Client

from catalog.models import Domain
from catalog.services.producers import create_producer_key
from governance.models import SavedView
from governance.types import Permission, Role
from ingest.protocols.segment import WORDS
from portal.http.operations import operation_of
from portal.kernel import clock
from portal.kernel.actor import SYSTEM
from portal.openapi import Served, served
from tests.api.conftest import ARGUMENTS, NAME, Secret, addresses
from tests.api.test_openapi import NEEDED
from tests.support.factories import (
    ORDER_SCHEMA,
    make_grant,
    make_person,
    make_stream,
    make_team,
    token_of,
)

pytestmark = pytest.mark.django_db
API = [one for one in served() if one.path.startswith("/api/v1/")]
TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")
SPELLED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
JSON = "application/json"


@pytest.fixture
def admin() -> Client:
    return Client(headers={"Authorization": f"Bearer {token_of(make_person(Role.ADMIN))}"})


def named(one: Served) -> str:
    return f"{one.method} {one.path}"


def filled(one: Served) -> str:
    """The address of an operation with arguments that are well-formed and mean nothing."""
    values = {"uuid": "0192f0a0-0000-7000-8000-000000000001", "int": "1"}
    path = one.path
    for name, kind in one.places:
        path = path.replace(f"{{{name}}}", values.get(kind, "nothing"))
    return path


# --- Parameters and lists ---------------------------------------------------------------------


@pytest.mark.parametrize("one", API, ids=named)
def test_an_unknown_or_repeated_parameter_is_a_400(one: Served, admin: Client) -> None:
    for query in ("nonsense=1", "limit=1&limit=2", "nonsense=1&nonsense=2"):
        answer = admin.generic(one.method, f"{filled(one)}?{query}", b"{}", content_type=JSON)
        assert (answer.status_code, answer.json()["code"]) == (400, "parameter")
        (fault,) = answer.json()["errors"]
        assert fault["pointer"] in ("", "/limit")
        assert "nonsense" not in answer.content.decode()


LISTS = [one for one in API if "limit" in one.operation.takes and one.path != "/api/v1/search"]


@pytest.mark.parametrize("one", LISTS, ids=named)
def test_a_limit_out_of_bounds_is_a_400_that_echoes_nothing(one: Served, admin: Client) -> None:
    for limit in ("0", "501", "-1", "1.5", "abc", "", " 5", "+5", "1e1", "٣", "--5"):
        answer = admin.get(filled(one), {"limit": limit})
        assert answer.status_code == 400
        (fault,) = answer.json()["errors"]
        assert fault["pointer"] == "/limit"
        assert fault["detail"] in ("limit must be a whole number", "limit must be from 1 to 500")


def test_every_list_has_items_and_next_and_pages_without_gaps(secret: Secret) -> None:
    """Each list twice: whole, and one by one through the cursors."""
    for number in range(3):
        make_stream(team=secret.team, tags=(f"tag-{number}",))
    person = make_person(Role.ADMIN, team=secret.team)
    client = Client(headers={"Authorization": f"Bearer {token_of(person)}"})
    walked = 0
    for path, view in ((one.path, one.view) for one in addresses(secret)):
        operation = operation_of(view, "GET")
        if operation is None or "cursor" not in operation.takes or not path.startswith("/api/"):
            continue
        with clock.at(clock.now()):  # what is counted up to now is counted up to one moment
            whole = client.get(f"{path}?limit=500").json()
            assert whole["next"] is None
            found, cursor = [], ""
            while cursor is not None:
                page = client.get(path, {"limit": 1} | ({"cursor": cursor} if cursor else {}))
                assert page.status_code == 200, (path, page.content)
                assert len(page.json()["items"]) <= 1
                found += page.json()["items"]
                cursor = page.json()["next"]
                if "audit" in path and len(found) > 3:
                    break
        if "audit" not in path:
            assert len(found) == len(whole["items"]), path
            assert found == whole["items"], path
        walked += 1
    assert walked >= 20


def test_a_cursor_that_was_not_made_for_the_list_is_a_400(secret: Secret) -> None:
    client = Client(headers={"Authorization": f"Bearer {token_of(make_person(Role.ADMIN))}"})
    make_stream()
    cursor = client.get("/api/v1/streams?limit=1").json()["next"]
    end = "A" if cursor[-1] != "A" else "B"
    altered = [cursor[:-1] + end, cursor[4:], "e30", "zz", "%", cursor + "="]
    for path, view in ((one.path, one.view) for one in addresses(secret)):
        operation = operation_of(view, "GET")
        if operation is None or "cursor" not in operation.takes or not path.startswith("/api/"):
            continue
        for wrong in altered if path == "/api/v1/streams" else [*altered, cursor]:
            answer = client.get(path, {"cursor": wrong})
            assert (answer.status_code, answer.json()["code"]) == (400, "cursor"), (path, wrong)


def test_each_character_of_a_cursor_counts(admin: Client) -> None:
    for _ in range(2):
        make_stream()
    cursor = admin.get("/api/v1/streams?limit=1&ordering=newest").json()["next"]
    assert admin.get("/api/v1/streams", {"cursor": cursor, "ordering": "newest"}).status_code == 200
    assert admin.get("/api/v1/streams", {"cursor": cursor}).status_code == 400  # another ordering
    for place in range(len(cursor)):
        for other in ("A", "!"):
            wrong = cursor[:place] + other + cursor[place + 1 :]
            if wrong != cursor:
                query = {"cursor": wrong, "ordering": "newest"}
                assert admin.get("/api/v1/streams", query).status_code == 400


# --- Methods, ETags, times --------------------------------------------------------------------


def is_segments(path: str) -> bool:
    """Whether errors at an address have the shape of Segment's protocol."""
    return path.startswith("/v1/") and path.split("/")[2] in (*WORDS, "projects")


@pytest.mark.parametrize("path", sorted({filled(one) for one in served()}))
def test_a_method_that_is_not_served_is_a_405_that_lists_what_is(path: str) -> None:
    methods = {one.method for one in served() if filled(one) == path}
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - methods:
        answer = Client(enforce_csrf_checks=True).generic(method, path)
        assert answer.status_code == 405, (method, path, answer.status_code)
        assert answer["Content-Type"] == (
            "application/json" if is_segments(path) else "application/problem+json"
        )
        assert methods <= set(answer["Allow"].split(", "))
        assert method not in answer["Allow"].split(", ")


@pytest.mark.parametrize("path", sorted({filled(one) for one in API}))
def test_options_says_what_is_allowed_to_anybody(path: str) -> None:
    answer = Client().options(path)
    assert answer.status_code == 204
    assert "OPTIONS" in answer["Allow"]


@pytest.mark.parametrize("path", sorted({filled(one) for one in served()}))
def test_a_trailing_slash_changes_nothing(path: str) -> None:
    method = next(one.method for one in served() if filled(one) == path)
    bare, slashed = (Client().generic(method, place) for place in (path, f"{path}/"))
    assert slashed.status_code == bare.status_code
    assert bare.status_code not in (301, 302, 307, 308)


@pytest.mark.parametrize(
    "path", ["/api/v1/nothing", "/api/v1/streams/a/b/c", "/api", "/v1/nothing", "/ofrep/x",
             "/ofrep/v1/x", "/v1"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_an_unknown_route_is_a_404_problem(path: str, method: str) -> None:
    answer = Client(enforce_csrf_checks=True).generic(method, path)
    assert answer.status_code == 404
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["instance"] == answer["X-Request-Id"]


def test_every_resource_has_an_etag_and_every_time_is_spelled_one_way(secret: Secret) -> None:
    person = make_person(Role.ADMIN, team=secret.team)
    make_grant(secret.stream, person, Permission.READ_PERSONAL)
    SavedView.objects.filter(pk=ARGUMENTS["view_id"]).update(owner=person)
    client = Client(headers={"Authorization": f"Bearer {token_of(person)}"})
    times = 0
    for path in (one.path for one in addresses(secret) if "GET" in one.methods):
        if not path.startswith("/api/v1/"):
            continue
        if "export" in path or "keys/" in path or "delegations/" in path:
            continue
        with clock.at(clock.now()):  # what is counted up to now is counted up to one moment
            answer, again = (
                client.get(f"{path}?{NEEDED.get(path, '')}", headers=headers)
                for headers in ({"traceparent": TRACE}, {})
            )
        assert answer.status_code == 200, path
        assert re.fullmatch(r'"[!#-~]+"', answer["ETag"]), path
        assert answer["X-Request-Id"]
        assert answer["traceparent"] == TRACE
        if "rollups" not in path:
            assert again["ETag"] == answer["ETag"], path
        is_json = answer["Content-Type"].startswith("application/json")
        for text in _texts(answer.json()) if is_json else ():
            if TIME.match(text):
                assert SPELLED.fullmatch(text), (path, text)
                times += 1
    assert times > 100


TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts(item)]
    return [text for item in value for text in _texts(item)] if isinstance(value, list) else []


CHANGES = [one for one in API if one.method in ("PUT", "PATCH", "DELETE")]


@pytest.mark.parametrize("one", CHANGES, ids=named)
def test_a_change_needs_the_etag_that_was_read(one: Served, secret: Secret) -> None:
    admin = make_person(Role.ADMIN)
    client = Client(headers={"Authorization": f"Bearer {token_of(admin)}"})
    path = _existing(one, client)
    changes = CHANGES_OF.get(one.path, {"description": "Changed."})
    if one.path.endswith("/limits"):
        key, _ = create_producer_key(secret.producer, actor=SYSTEM, name="mine")
        changes = {"keys": [{"key": key.pk, "events_per_second": 9}]}
    body = b"" if one.method == "DELETE" else json.dumps(changes).encode()
    kind = {"content_type": JSON} if body else {}
    tag = client.get(path)["ETag"]
    without = client.generic(one.method, path, body, **kind)  # type: ignore[arg-type]  # one key
    assert (without.status_code, without.json()["code"]) == (428, "precondition_required")
    for stale in ('"0"', f"W/{tag}", tag.strip('"')):
        answer = client.generic(
            one.method,
            path,
            body,
            headers={"If-Match": stale},
            **kind,  # type: ignore[arg-type]
        )
        assert (answer.status_code, answer.json()["code"]) == (412, "precondition_failed"), stale
    fresh = client.generic(
        one.method,
        path,
        body,
        headers={"If-Match": f'"0", {tag}'},
        **kind,  # type: ignore[arg-type]
    )
    assert fresh.status_code in (200, 204), fresh.content
    if one.method != "DELETE":
        said = fresh.json()
        if "keys" in changes:
            said["keys"] = [
                {name: row[name] for name in changes["keys"][0]} for row in said["keys"]
            ]
        assert changes.items() <= {**said, **said.get("rule", {})}.items()
        assert fresh["ETag"] == client.get(path)["ETag"] != tag
        again = client.generic(one.method, path, body, headers={"If-Match": tag}, content_type=JSON)
        assert again.status_code == 412


# Where a change is not one of a description.
CHANGES_OF: dict[str, dict[str, Any]] = {
    "/api/v1/drafts/{draft_id}": {"title": "Changed."},
    "/api/v1/notifications/wish": {"mail": "each"},
    "/api/v1/glossary/{slug}": {"definition": "Changed."},
    "/api/v1/policies/{slug}": {"sentence": "Changed."},
    "/api/v1/streams/{name}/enforcement": {"days": 9},
    "/api/v1/views/{view_id}": {"name": "Changed.", "shared": True},
    "/api/v1/people/{user_id}": {"name": "Changed."},
    "/api/v1/teams/{slug}/members/{user_id}": {"is_lead": True},
}


def _existing(one: Served, client: Client) -> str:
    """The address of something there to change."""
    noun = one.path.split("/")[3]
    if noun == "keys":
        made = client.post("/api/v1/keys", {"name": "mine", "scopes": ["read"]}, content_type=JSON)
        assert made.status_code == 201
        return str(made["Location"])
    if noun == "drafts":
        draft = {"kind": "registration", "content": {}}
        return str(client.post("/api/v1/drafts", draft, content_type=JSON)["Location"])
    if noun == "views":
        view = {"kind": "audit", "name": "What was said", "asked": {"period": "7 days"}}
        return str(client.post("/api/v1/views", view, content_type=JSON)["Location"])
    if noun == "people":
        return f"/api/v1/people/{make_person().pk}"
    if "/members/" in one.path:
        team = make_team()
        return f"/api/v1/teams/{team.slug}/members/{make_person(team=team).pk}"
    if not one.places:
        return one.path
    name = {
        "streams": NAME,
        "domains": "zebra",
        "teams": make_team().slug,
        "producers": "sender",
        "consumers": "reader",
        "glossary": "agreement",
        "policies": "owner-present",
        "subject-exports": ARGUMENTS["export_id"],
    }[noun]
    path = one.path
    for number, (place, _) in enumerate(one.places):
        path = path.replace(f"{{{place}}}", ARGUMENTS[place] if number else name)
    return path


# --- Bodies -----------------------------------------------------------------------------------


def test_a_body_is_json_in_utf_8_packed_or_not(admin: Client) -> None:
    def send(slug: str, body: bytes | None = None, **headers: str) -> int:
        raw = json.dumps({"slug": slug, "name": "Näme"}, ensure_ascii=False).encode()
        kind = headers.pop("kind", JSON)
        return admin.generic(
            "POST", "/api/v1/teams", raw if body is None else body, content_type=kind,
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        ).status_code  # fmt: skip

    packed = json.dumps({"slug": "packed", "name": "x"}).encode()
    assert send("plain") == 201
    assert send("a", kind="application/json; charset=utf-8") == 201
    assert send("b", kind='Application/JSON; charset="UTF-8"') == 201
    assert send("c", kind="application/json; charset=latin-1") == 415
    assert send("d", kind="text/plain") == 415
    assert send("e", kind="application/x-www-form-urlencoded") == 415
    assert send("f", kind="application/json-patch+json") == 415
    assert send("", gzip.compress(packed), Content_Encoding="gzip") == 201
    again = packed.replace(b"packed", b"zstd")
    assert send("", zstandard.compress(again), Content_Encoding="zstd") == 201
    assert send("", packed, Content_Encoding="br") == 415
    assert send("", packed, Content_Encoding="gzip") == 400
    bomb = gzip.compress(b" " * (21 * 1024 * 1024))
    assert send("", bomb, Content_Encoding="gzip") == 413
    assert send("", b" " * (5 * 1024 * 1024 + 1)) == 413
    assert send("", '{"slug": "g"}'.encode("utf-16")) == 400


def test_syntax_and_types_are_a_400_and_rules_a_422_with_at_most_twenty_places(
    admin: Client,
) -> None:
    def send(body: Any, path: str = "/api/v1/streams") -> Any:
        return admin.post(path, body, content_type=JSON)

    secret = "s3cr3t-value"
    valid = {"name": "shop.order_paid", "schema": ORDER_SCHEMA}
    for body, status, pointer in (
        ("{", 400, None),
        ([], 400, None),
        (valid | {secret: 1}, 400, ""),
        (valid | {"name": 5}, 400, "/name"),
        (valid | {"restricted": secret}, 400, "/restricted"),
        (valid | {"tier": secret}, 422, "/tier"),
        (valid | {"owner": secret}, 422, "/owner"),
        (valid | {"tags": [secret.upper()]}, 422, "/tags/0"),
        (valid | {"name": secret}, 422, "/name"),
        ({"name": "shop.order_paid"}, 422, "/schema"),
        (valid | {"schema": {"type": secret}}, 422, "/schema"),
        (valid | {"late_seconds": -1}, 422, "/late_seconds"),
        (valid | {"late_seconds": 1.5}, 400, "/late_seconds"),
    ):
        answer = send(body)
        assert answer.status_code == status, (body, answer.content)
        assert secret not in answer.content.decode().lower()
        if pointer is not None:
            assert answer.json()["errors"][0]["pointer"] == pointer
    many = send({f"member{n}": n for n in range(60)} | valid)
    assert (many.status_code, len(many.json()["errors"])) == (400, 20)
    assert send(valid).status_code == 201
    taken = send(valid)
    assert (taken.status_code, taken.json()["code"]) == (409, "name_taken")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/domains", {"slug": "Not A Slug"}),
        ("/api/v1/domains", {"slug": "a_b"}),
        ("/api/v1/domains", {"slug": "-a"}),
        ("/api/v1/domains", {"slug": ""}),
        ("/api/v1/teams", {"slug": "Ümläut", "name": "x"}),
        ("/api/v1/teams", {"slug": "a/b", "name": "x"}),
        ("/api/v1/teams", {"slug": "x" * 61, "name": "x"}),
        ("/api/v1/producers", {"name": "UPPER"}),
        ("/api/v1/consumers", {"name": "a.b"}),
        ("/api/v1/streams", {"name": "one_part", "schema": {}}),
        ("/api/v1/streams", {"name": "a.b.c.d.e", "schema": {}}),
        ("/api/v1/streams", {"name": "a.b-c", "schema": {}}),
        ("/api/v1/streams", {"name": "a.1b", "schema": {}}),
        ("/api/v1/streams", {"name": "a.b__c", "schema": {}}),
        ("/api/v1/streams", {"name": "A.b", "schema": {}}),
        ("/api/v1/streams", {"name": "a.b\n", "schema": {}}),
        ("/api/v1/streams", {"name": "a." + "b" * 119, "schema": {}}),
    ],
)
def test_a_name_that_breaks_the_rule_is_a_422(
    path: str, body: dict[str, Any], admin: Client
) -> None:
    answer = admin.post(path, body, content_type=JSON)
    assert answer.status_code == 422, answer.content
    assert answer.json()["errors"][0]["pointer"] in ("/slug", "/name")


def test_the_longest_names_are_taken(admin: Client) -> None:
    body = {"name": "a." + "b" * 118, "schema": {"type": "object"}}
    assert admin.post("/api/v1/streams", body, content_type=JSON).status_code == 201
    assert admin.post("/api/v1/domains", {"slug": "x" * 60}, content_type=JSON).status_code == 201
    assert Domain.objects.filter(slug="x" * 60).exists()


def test_a_change_of_tags_alone_is_refused_when_somebody_was_faster(admin: Client) -> None:
    stream = make_stream()
    path = f"/api/v1/streams/{stream.name}"
    tag = admin.get(path)["ETag"]
    first, second = (
        admin.patch(path, {"tags": [word]}, content_type=JSON, headers={"If-Match": tag})
        for word in ("mine", "yours")
    )
    assert (first.status_code, second.status_code) == (200, 412)
    assert admin.get(path).json()["tags"] == ["mine"]


def test_a_change_of_nothing_leaves_the_revision_and_no_audit_row(admin: Client) -> None:
    stream = make_stream()
    path = f"/api/v1/streams/{stream.name}"
    tag = admin.get(path)["ETag"]
    answer = admin.patch(path, {}, content_type=JSON, headers={"If-Match": tag})
    assert (answer.status_code, answer["ETag"]) == (200, tag)


def test_a_stream_is_never_less_sensitive_than_its_fields(admin: Client) -> None:
    stream = make_stream()
    path = f"/api/v1/streams/{stream.name}"
    answer = admin.patch(
        path, {"classification": "public"}, content_type=JSON, headers={"If-Match": "*"}
    )
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/classification"
