"""Who may not know of a stream learns nothing of it, by any route, as any role, with any key."""

from collections.abc import Callable

import pytest
from django.test import Client

from governance.models import User
from governance.types import Permission, Role
from tests.api.conftest import (
    NAME,
    PERSONAL,
    SECRET,
    Secret,
    addresses,
    content_of,
    credential,
)
from tests.support.factories import make_grant, make_person, make_team, token_of

pytestmark = pytest.mark.django_db
# What the finders are asked; `zebrb` is near enough for a correction.
QUESTIONS = ("q=zebrb", "q=plan+agreed", "ordering=newest", "")
FINDERS = ("streams", "search", "search/palette", "fields", "experiments")


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def with_key(text: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {text}"})


def without_team(role: Role) -> Callable[[Secret], list[Client]]:
    return lambda _: [signed_in(make_person(role, team=make_team()))]


def engineer(secret: Secret) -> list[Client]:
    person = make_person(Role.ENGINEER, team=make_team())
    return [signed_in(person), with_key(token_of(person))]


STRANGERS: dict[str, Callable[[Secret], list[Client]]] = {
    "product_manager": without_team(Role.PRODUCT_MANAGER),
    "engineer": engineer,
    "analyst": without_team(Role.ANALYST),
    "outsider": lambda _: [with_key(token_of(make_person()))],
    # Narrowed by their tokens, admins and on-call are nobody special where it matters.
    "admin with a reading token": lambda _: [with_key(token_of(make_person(Role.ADMIN), "read"))],
    "anybody": lambda _: [Client()],
    "producer key": lambda s: [with_key(credential("prod", s.producer.pk))],
    "consumer key": lambda s: [with_key(credential("cons", s.consumer.pk))],
    # Keys whose number is that of a person must not be taken for that person.
    "producer key numbered like the one who asked": lambda s: [
        with_key(credential("prod", s.request.requester_id))
    ],
    "flag key": lambda _: [with_key(credential("flag", 0))],
}


@pytest.mark.parametrize("who", STRANGERS)
def test_nothing_that_is_read_names_a_stream_its_reader_may_not_know_of(
    who: str, secret: Secret
) -> None:
    leaks = []
    for client in STRANGERS[who](secret):
        for path in (one.path for one in addresses(secret) if "GET" in one.methods):
            if path == "/domains/zebra/":
                continue
            is_finder = path.removeprefix("/api/v1").strip("/") in FINDERS
            for question in QUESTIONS if is_finder else QUESTIONS[-1:]:
                answer = client.get(f"{path}?{question}")
                assert answer.status_code < 500, path
                told = content_of(answer).lower().replace(path.lower().encode(), b"")
                # The domain of a stream is a thing of its own and no secret.
                if path.startswith(("/api/v1/domains", "/streams/", "/api/docs", "/fields/")):
                    for own in (b'"slug":"zebra"', b'"name":"zebra"', b'"title": "zebra"'):
                        told = told.replace(own, b"")
                if SECRET in told.replace(b"zebrb", b""):
                    place = told.index(SECRET)
                    leaks.append((path, question, told[max(0, place - 60) : place + 40]))
    assert leaks == []


@pytest.mark.parametrize("who", ["engineer", "outsider", "producer key", "flag key"])
def test_forbidden_and_missing_are_one_answer_for_every_method(who: str, secret: Secret) -> None:
    client = STRANGERS[who](secret)[-1]
    differing = []
    for one in addresses(secret):
        path = one.path
        if NAME not in path or not path.startswith("/api/"):
            continue
        for method in one.methods:
            answers = []
            for name in (NAME, "never.was_there"):
                found = client.generic(
                    method,
                    path.replace(NAME, name),
                    b"{}",
                    content_type="application/json",
                    headers={"If-Match": "*"},
                )
                body = found.json()
                body.pop("instance", None)
                answers.append((found.status_code, body))
            assert answers[0][0] in (403, 404)
            if answers[0] != answers[1]:
                differing.append((method, path, answers))
    assert differing == []


@pytest.mark.parametrize(
    "holder",
    [
        "owner",
        "admin",
        "on_call",
        "payload",
    ],
)
def test_personal_values_are_shown_to_nobody_without_the_grant_to_them(
    holder: str, secret: Secret
) -> None:
    roles = {"admin": (Role.ADMIN,), "on_call": (Role.ON_CALL,)}
    person = secret.owner if holder == "owner" else make_person(*roles.get(holder, ()))
    if holder == "payload":
        make_grant(secret.stream, person, Permission.READ_PAYLOAD)
    shown = []
    for client in (signed_in(person), with_key(token_of(person))):
        for path in (one.path for one in addresses(secret) if "GET" in one.methods):
            if "export" not in path:
                content = client.get(path).content
                if PERSONAL in content:
                    shown.append(path)
    assert shown == []
