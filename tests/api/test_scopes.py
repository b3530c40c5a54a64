"""What tokens, keys and sessions may: scopes narrow, programs only read, sessions need CSRF."""

import base64
import json
from typing import Any

import pytest
from django.test import Client

from catalog.services.consumers import create_consumer
from catalog.services.producers import create_producer
from governance.models import Key
from governance.selectors.people import actor_of
from governance.services.requests import ask_for_access
from governance.types import Permission, Role
from portal.kernel import clock
from portal.kernel.actor import ALL_SCOPES, SYSTEM
from portal.openapi import Served, document, served
from tests.api.conftest import credential
from tests.api.test_contract import filled, named
from tests.governance.test_requests import PURPOSE, soon
from tests.support.factories import make_grant, make_person, make_stream, make_team, token_of

pytestmark = pytest.mark.django_db
GUARDED = [one for one in served() if one.policy.word not in ("public", "credentials", "producer")]
JSON = "application/json"


def bearer(text: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {text}"})


def send(client: Client, one: Served) -> Any:
    return client.generic(one.method, filled(one), b"{}", content_type=JSON)


@pytest.mark.parametrize("one", GUARDED, ids=named)
def test_a_token_without_the_scope_of_an_operation_is_refused_and_told_what_it_lacks(
    one: Served,
) -> None:
    scope = document()["paths"][one.path][one.method.lower()]["x-scope"]
    person = make_person(Role.ADMIN, Role.ENGINEER)
    answer = send(bearer(token_of(person, *sorted(ALL_SCOPES - {scope}))), one)
    assert answer.status_code == 403
    problem = answer.json()
    assert (problem["code"], problem["permission"]) == ("scope", scope)
    assert problem["request_at"] == "/settings/"
    needed = {scope, "admin"} if one.policy.word == "audit.read" else {scope}
    alone = send(bearer(token_of(person, *needed)), one)
    assert not (alone.status_code == 403 and alone.json()["code"] == "scope")


@pytest.mark.parametrize("one", GUARDED, ids=named)
def test_programs_read_the_open_catalog_and_nothing_else(one: Served) -> None:
    producer, consumer = create_producer("p", actor=SYSTEM), create_consumer("c", actor=SYSTEM)
    for kind, holder in (("prod", producer.pk), ("cons", consumer.pk)):
        answer = send(bearer(credential(kind, holder)), one)
        if one.method == "GET" and one.policy.word in (
            "signed_in",
            "stream.discover",
            "experiment.read",
        ):
            assert answer.status_code != 403
        elif one.method == "GET" and one.policy.word == "stream.read_payload" and kind == "cons":
            # A consumer may hold a grant to it; of what is not there it is told as people are.
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        else:
            assert (answer.status_code, answer.json()["code"]) == (403, "not_for_keys")
            assert answer.json()["request_at"] == "/settings/"
    flag = send(bearer(credential("flag", 0)), one)
    assert (flag.status_code, flag.json()["code"]) == (403, "not_for_keys")


def test_a_key_that_stands_in_web_pages_reads_nothing_but_who_it_is() -> None:
    producer = create_producer("p", actor=SYSTEM)
    text = credential("prod", producer.pk)
    Key.objects.filter(kind="prod").update(browser_origins=["https://shop.example"])
    assert bearer(text).get("/api/v1/streams").status_code == 403
    assert bearer(text).get("/api/v1/me").json()["kind"] == "producer"


def test_a_key_numbered_like_a_person_is_not_that_person() -> None:
    """Holders of keys and people are counted apart, so their numbers meet."""
    stream, asker = make_stream(team=make_team()), make_person()
    request = ask_for_access(stream.ref, actor=actor_of(asker), purpose=PURPOSE, until=soon())
    make_grant(stream, asker, Permission.READ_PAYLOAD)
    grant = bearer(token_of(asker)).get("/api/v1/grants").json()["items"][0]
    key = bearer(credential("prod", asker.pk))
    for method, path in (
        ("GET", "/api/v1/access-requests"),
        ("GET", f"/api/v1/access-requests/{request.pk}"),
        ("POST", f"/api/v1/access-requests/{request.pk}/withdraw"),
        ("GET", f"/api/v1/grants/{grant['id']}"),
        ("POST", f"/api/v1/grants/{grant['id']}/revoke"),
    ):
        assert key.generic(method, path, b"{}", content_type=JSON).status_code == 403
    request.refresh_from_db()
    assert request.state == "open"


def test_an_approving_token_approves_and_a_writing_one_does_not() -> None:
    team = make_team()
    stream, owner = make_stream(team=team), make_person(Role.ENGINEER, team=team)
    request = ask_for_access(
        stream.ref, actor=actor_of(make_person()), purpose=PURPOSE, until=soon()
    )
    path = f"/api/v1/access-requests/{request.pk}/approve"
    writing = bearer(token_of(owner, "read", "write")).post(path, {}, content_type=JSON)
    assert (writing.status_code, writing.json()["permission"]) == (403, "approve")
    assert bearer(token_of(owner, "approve")).post(path, {}, content_type=JSON).status_code == 200


def test_me_tells_any_credential_what_it_is() -> None:
    person = make_person(Role.ANALYST)
    found = bearer(token_of(person, "metrics")).get("/api/v1/me").json()
    assert (found["name"], found["roles"], found["scopes"]) == (
        person.email, ["analyst"], ["metrics"],
    )  # fmt: skip


def test_a_token_is_taken_as_the_user_name_of_basic_too() -> None:
    text = token_of(make_person(), "read")
    basic = base64.b64encode(f"{text}:".encode()).decode()
    assert Client(headers={"Authorization": f"Basic {basic}"}).get("/api/v1/me").status_code == 200


@pytest.mark.parametrize("query", ["key={}", "a=1&{}=1", "q=%65p_user_abcdefgh_x", "cursor={}"])
def test_a_key_in_an_address_is_a_400_wherever_it_stands(query: str) -> None:
    text = token_of(make_person(), "read")
    answer = bearer(text).get(f"/api/v1/streams?{query.format(text)}")
    assert (answer.status_code, answer.json()["code"]) == (400, "key_in_query")
    assert text not in answer.content.decode()


def test_a_session_needs_the_token_of_its_pages_to_change_anything() -> None:
    person = make_person(Role.ADMIN)
    client = Client(enforce_csrf_checks=True)
    client.force_login(person)
    body = {"slug": "one", "name": "x"}
    assert client.get("/api/v1/teams").status_code == 200
    refused = client.post("/api/v1/teams", body, content_type=JSON)
    assert (refused.status_code, refused.json()["code"]) == (403, "csrf")
    client.get("/settings/")
    token = client.cookies["portal_csrf"].value
    made = client.post("/api/v1/teams", body, content_type=JSON, headers={"X-CSRFToken": token})
    assert made.status_code == 201
    # A program that sends a token needs none.
    free = Client(enforce_csrf_checks=True, headers={"Authorization": f"Bearer {token_of(person)}"})
    assert free.post("/api/v1/teams", body | {"slug": "two"}, content_type=JSON).status_code == 201


def test_expired_revoked_and_unknown_are_one_401() -> None:
    person = make_person()
    answers = []
    for change in ({"expires_at": clock.now()}, {"revoked_at": clock.now()}, {}):
        text = token_of(person)
        Key.objects.filter(user=person).update(**change)
        if not change:
            text = text[:-1] + ("A" if text[-1] != "A" else "B")
        answer = bearer(text).get("/api/v1/me")
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"].startswith("Bearer")
        body = answer.json()
        body.pop("instance")
        answers.append(body)
    assert answers[0] == answers[1] == answers[2]


# --- Keys as a resource -----------------------------------------------------------------------


def test_a_personal_token_is_made_used_read_and_ended() -> None:
    client = bearer(token_of(make_person(), "read", "write"))
    made = client.post("/api/v1/keys", {"name": "laptop", "scopes": ["read"]}, content_type=JSON)
    assert made.status_code == 201
    text, path = made.json()["key"], made["Location"]
    assert bearer(text).get("/api/v1/me").json()["scopes"] == ["read"]
    shown = client.get(path)
    assert "key" not in shown.json()
    assert client.delete(path).status_code == 428
    assert client.delete(path, headers={"If-Match": shown["ETag"]}).status_code == 204
    assert bearer(text).get("/api/v1/me").status_code == 401
    assert client.get(path).status_code == 404


def test_a_narrow_token_makes_no_wider_one() -> None:
    client = bearer(token_of(make_person(Role.ADMIN), "write"))
    answer = client.post("/api/v1/keys", {"name": "x", "scopes": ["admin"]}, content_type=JSON)
    assert (answer.status_code, answer.json()["permission"]) == (403, "admin")
    same = client.post("/api/v1/keys", {"name": "x"}, content_type=JSON)
    assert same.json()["scopes"] == ["write"]


def test_keys_of_others_do_not_exist_but_those_of_ones_team_do() -> None:
    team = make_team()
    member, stranger = make_person(team=team), make_person()
    create_producer("p", actor=SYSTEM, team=team)
    made = bearer(token_of(member)).post("/api/v1/producers/p/keys", {}, content_type=JSON)
    path = made["Location"]
    assert bearer(token_of(member)).get(path).json()["kind"] == "producer"
    assert bearer(token_of(stranger)).get(path).status_code == 404
    answer = bearer(token_of(stranger)).delete(path, headers={"If-Match": "*"})
    assert answer.status_code == 404
    assert bearer(token_of(member)).delete(path, headers={"If-Match": "*"}).status_code == 204


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/v1/streams", {"name": "shop.paid", "schema": {"type": "object"}}),
        ("POST", "/api/v1/teams", {"slug": "a", "name": "b"}),
        ("POST", "/api/v1/producers", {"name": "a"}),
        ("POST", "/api/v1/experiments/none/start", {}),
        ("GET", "/api/v1/audit", None),
        ("PATCH", "/api/v1/streams/shop.known", {"title": "x"}),
        ("POST", "/api/v1/streams/shop.known/schemas", {"schema": {"type": "object"}}),
        ("GET", "/api/v1/streams/shop.known/events", None),
        ("POST", "/api/v1/consumers/c/mappings", {"stream": "shop.known"}),
        ("GET", "/api/v1/consumers/c/keys", None),
    ],
)
def test_who_may_know_but_not_do_is_told_the_permission_and_where_to_ask(
    method: str, path: str, body: Any
) -> None:
    make_stream("shop.known", team=make_team())
    create_consumer("c", actor=SYSTEM, team=make_team())
    client = bearer(token_of(make_person(Role.ON_CALL)))
    answer = client.generic(
        method, path, b"" if body is None else json.dumps(body).encode(),
        content_type=JSON, headers={"If-Match": "*"},
    )  # fmt: skip
    if "experiments" in path:
        assert answer.status_code == 404
        return
    assert answer.status_code == 403, answer.content
    problem = answer.json()
    assert problem["permission"]
    assert problem["request_at"].startswith("/")
    assert problem["request_at"] in problem["detail"]
