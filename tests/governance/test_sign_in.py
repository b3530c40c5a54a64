"""Signing in against those who guess: limits, and one answer for all that is wrong."""

import re
import statistics
import time
from typing import Any
from uuid import uuid4

import pytest
from allauth.core.internal import ratelimit
from django.test import Client

from governance.models import User
from portal.kernel.counting_cache import CountingCache
from tests.support.factories import make_person
from tests.support.signing_in import PASSWORD, browser, sign_in, with_password

pytestmark = pytest.mark.django_db
GUESS = "wrong all along"
WRONG = "E-mail and password do not belong together."


def attempt(client: Client, email: str, password: str = GUESS) -> Any:
    return client.post("/accounts/login/", {"login": email, "password": password})


def body_of(answer: Any, email: str) -> str:
    """What was answered, without what differs between any two requests."""
    text = str(answer.content.decode()).replace(email, "EMAIL")
    return re.sub(r'value="[A-Za-z0-9]{64}"', "", text)


def test_too_many_tries_from_one_place_are_answered_in_our_look() -> None:
    client = browser()
    answers = [attempt(client, f"guess{n}@test.example") for n in range(31)]
    assert {answer.status_code for answer in answers[:30]} == {200}
    last = answers[30]
    assert (last.status_code, last["Retry-After"]) == (429, "60")
    page = last.content.decode()
    assert "Too many tries from here" in page
    assert 'href="/static/css/app.css"' in page
    assert last["Cache-Control"] == "no-store"


@pytest.fixture
def redis_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """The counting cache as a process meets it whose Redis is gone."""
    away = CountingCache("redis://127.0.0.1:1/0", {"KEY_PREFIX": uuid4().hex})
    monkeypatch.setattr(ratelimit, "cache", away)


@pytest.mark.usefixtures("redis_away")
def test_signing_in_works_without_redis_and_guesses_stay_bounded() -> None:
    ada = with_password()
    sign_in(ada)
    guesser = browser()
    answers = [attempt(guesser, f"guess{n}@test.example") for n in range(31)]
    assert {answer.status_code for answer in answers[:30]} == {200}
    assert answers[30].status_code == 429


def test_a_machine_is_told_so_as_a_problem() -> None:
    client = browser()
    for number in range(30):
        attempt(client, f"guess{number}@test.example")
    answer = client.post(
        "/accounts/login/", {"login": "guess@test.example", "password": "wrong"},
        headers={"Accept": "application/json"},
    )  # fmt: skip
    assert answer.status_code == 429
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "rate_limited"
    assert answer["Retry-After"] == "60"


def test_a_thousand_guesses_do_not_find_the_password_nor_lock_its_owner_out_for_good() -> None:
    ada = with_password()
    guesser = browser()
    statuses = [
        attempt(guesser, ada.email, f"guess number {number}").status_code for number in range(1000)
    ]
    assert set(statuses) == {200, 429}
    assert statuses.count(200) == 30
    refused = attempt(browser(), ada.email, PASSWORD).content.decode()
    assert "Too many tries" in refused  # the account rests for some minutes, whoever asks


def test_guesses_from_many_places_against_one_account_are_limited_too() -> None:
    ada = with_password()
    said = [body_of(attempt(browser(), ada.email), ada.email) for _ in range(12)]
    assert WRONG in said[0]
    assert "Too many tries" in said[-1]


def test_an_unknown_person_and_a_wrong_password_get_one_answer() -> None:
    ada = with_password()
    known = body_of(attempt(browser(), ada.email), ada.email)
    unknown = body_of(attempt(browser(), "nobody@test.example"), "nobody@test.example")
    without = make_person()
    bare = body_of(attempt(browser(), without.email), without.email)
    assert known == unknown == bare
    assert WRONG in known


def test_both_answers_take_the_same_time() -> None:
    people = [with_password() for _ in range(7)]

    def seconds(email: str) -> float:
        client, begun = browser(), time.perf_counter()
        attempt(client, email)
        return time.perf_counter() - begun

    pairs = [(seconds(p.email), seconds(f"nobody{p.pk}@test.example")) for p in people]
    known = statistics.median(pair[0] for pair in pairs)
    unknown = statistics.median(pair[1] for pair in pairs)
    assert 0.5 < known / unknown < 2, (known, unknown)


@pytest.mark.parametrize(
    "password", ["short12", "password1234", "12345678901234567890", "x" * 5000]
)
def test_a_poor_password_is_refused_quickly(password: str) -> None:
    ada = with_password()
    laptop = sign_in(ada)
    begun = time.perf_counter()
    answer = laptop.post(
        "/accounts/password/change/",
        {"oldpassword": PASSWORD, "password1": password, "password2": password},
    )
    assert time.perf_counter() - begun < 5
    assert answer.status_code == 200
    assert 'class="err"' in answer.content.decode()
    assert User.objects.get(pk=ada.pk).check_password(PASSWORD)


def test_a_sentence_of_a_thousand_characters_is_taken() -> None:
    ada = with_password()
    laptop, sentence = sign_in(ada), "a sentence of ten " * 55
    answer = laptop.post(
        "/accounts/password/change/",
        {"oldpassword": PASSWORD, "password1": sentence, "password2": sentence},
    )
    assert answer.status_code == 302
    assert User.objects.get(pk=ada.pk).check_password(sentence)


def test_nobody_changes_the_address_of_their_account_themselves() -> None:
    laptop = sign_in(with_password())
    assert laptop.get("/accounts/email/").status_code == 404
    assert laptop.post("/accounts/email/", {"email": "ada@test.example"}).status_code == 404


def test_signing_in_with_a_long_wrong_password_is_a_plain_refusal() -> None:
    ada = with_password()
    assert WRONG in body_of(attempt(browser(), ada.email, "x" * 5000), ada.email)
