"""A POST with an Idempotency-Key: done once, answered again, sealed where it lies."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from django.urls import resolve

from catalog.services.producers import create_producer
from governance.models import KeptAnswer, Key, Team
from governance.services import answers
from governance.types import Role
from portal.kernel import clock
from portal.kernel.actor import SYSTEM
from portal.kernel.errors import ConflictError
from portal.openapi import served
from tests.support.factories import make_person, token_of

JSON = "application/json"


@pytest.fixture
def admin(db: None) -> Client:
    return Client(headers={"Authorization": f"Bearer {token_of(make_person(Role.ADMIN))}"})


def post(client: Client, path: str, body: Any, key: str) -> Any:
    return client.post(f"/api/v1{path}", body, content_type=JSON, headers={"Idempotency-Key": key})


def test_every_post_of_the_api_honours_the_key() -> None:
    missing = []
    for one in served():
        if one.method == "POST" and one.path.startswith("/api/v1/"):
            path = one.path
            for name, kind in one.places:
                value = {"uuid": "0192f0a0-0000-7000-8000-000000000001", "int": "1"}.get(kind, "x")
                path = path.replace(f"{{{name}}}", value)
            view: Any = resolve(path).func
            if not getattr(view.cls.post, "is_idempotent", False):
                missing.append(path)
    assert missing == []


def test_the_same_key_and_body_give_the_first_answer_again(admin: Client) -> None:
    body = {"slug": "builders", "name": "Builders"}
    first, again = (post(admin, "/teams", body, "k-1") for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert (first["ETag"], first["Location"]) == (again["ETag"], again["Location"])
    assert again["Idempotency-Replayed"] == "true"
    slashed = admin.post(
        "/api/v1/teams/", body, content_type=JSON, headers={"Idempotency-Key": "k-1"}
    )
    assert slashed.json() == first.json()
    assert Team.objects.filter(slug="builders").count() == 1


def test_another_body_or_address_under_the_key_is_a_422(admin: Client) -> None:
    post(admin, "/teams", {"slug": "builders", "name": "Builders"}, "k-1")
    for path, body in (
        ("/teams", {"slug": "builders", "name": "Other"}),
        ("/domains", {"slug": "builders", "name": "Builders"}),
    ):
        answer = post(admin, path, body, "k-1")
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")


def test_a_refusal_is_an_answer_too(admin: Client) -> None:
    first, again = (post(admin, "/teams", {"slug": "NO", "name": "x"}, "k-1") for _ in range(2))
    assert first.status_code == again.status_code == 422
    assert first.json() == again.json()
    assert again["Content-Type"] == "application/problem+json"
    better = post(admin, "/teams", {"slug": "yes", "name": "x"}, "k-1")
    assert better.json()["code"] == "idempotency_key_reused"


def test_keys_of_different_callers_never_meet(admin: Client) -> None:
    other = Client(headers={"Authorization": f"Bearer {token_of(make_person(Role.ADMIN))}"})
    first = post(admin, "/teams", {"slug": "one", "name": "x"}, "k-1")
    second = post(other, "/teams", {"slug": "two", "name": "x"}, "k-1")
    assert (first.json()["slug"], second.json()["slug"]) == ("one", "two")


@pytest.mark.parametrize("key", ["", " ", "a b", "ü", "x" * 256, "a\tb"])
def test_a_key_of_other_characters_or_length_is_a_400(key: str, admin: Client) -> None:
    answer = post(admin, "/teams", {"slug": "one", "name": "x"}, key)
    assert (answer.status_code, answer.json()["code"]) == (400, "header")
    assert not Team.objects.filter(slug="one").exists()


def test_the_longest_key_of_visible_characters_is_taken(admin: Client) -> None:
    assert post(admin, "/teams", {"slug": "one", "name": "x"}, "!~" * 127 + "x").status_code == 201


def test_a_first_request_still_under_way_is_a_409(db: None) -> None:
    answers.claim("person:1", "k", b"x" * 32)
    with pytest.raises(ConflictError) as caught:
        answers.claim("person:1", "k", b"x" * 32)
    assert caught.value.code == "in_progress"
    with clock.at(clock.now() + answers.ABANDONED + timedelta(seconds=1)):
        assert answers.claim("person:1", "k", b"x" * 32).said_before is None


def test_after_a_day_the_key_is_free(admin: Client) -> None:
    post(admin, "/teams", {"slug": "one", "name": "x"}, "k-1")
    KeptAnswer.objects.update(created_at=clock.now() - answers.KEPT - timedelta(seconds=1))
    assert post(admin, "/teams", {"slug": "two", "name": "x"}, "k-1").status_code == 201


def test_a_new_key_is_given_again_and_lies_nowhere_in_clear(admin: Client) -> None:
    create_producer("sender", actor=SYSTEM)
    first, again = (post(admin, "/producers/sender/keys", {}, "k-secret-1") for _ in range(2))
    text = first.json()["key"]
    assert again.json()["key"] == text
    assert Key.objects.filter(kind="prod").count() == 1
    row = KeptAnswer.objects.get()
    stored = bytes(row.body) + row.key.encode()
    assert text.encode() not in stored
    assert text.rpartition("_")[2].encode() not in stored
    assert b"k-secret-1" not in stored


@pytest.mark.django_db(transaction=True)
def test_twenty_at_once_under_one_key_have_one_effect() -> None:
    token = token_of(make_person(Role.ADMIN))
    barrier, door = threading.Barrier(20), threading.Lock()

    def send(_: int) -> Any:
        with door:
            connections["default"].ensure_connection()
        client = Client(headers={"Authorization": f"Bearer {token}"})
        barrier.wait()
        try:
            return post(client, "/teams", {"slug": "one", "name": "x"}, "k-1")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(send, range(20)))
    statuses = {answer.status_code for answer in found}
    assert statuses <= {201, 409}
    assert 201 in statuses
    assert {a.json()["code"] for a in found if a.status_code == 409} <= {"in_progress"}
    assert Team.objects.filter(slug="one").count() == 1
