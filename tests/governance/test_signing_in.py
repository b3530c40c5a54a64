"""Signing in, passwords and the end of sessions (ASVS V6, V7)."""

import json
import logging
import re
import secrets
import time
from typing import Any

import pytest
from django.contrib.auth.hashers import identify_hasher
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.test import Client

from governance.models import User
from portal.kernel.json_log import JsonFormatter
from tests.support.factories import make_person

pytestmark = pytest.mark.django_db
LOGIN = "/accounts/login/"
CHANGE = "/accounts/password/change/"
PASSWORD = "a long and odd pass phrase"


@pytest.fixture(autouse=True)
def nobody_tried_before() -> None:
    cache.clear()


@pytest.fixture
def ada() -> User:
    person = make_person()
    person.set_password(PASSWORD)
    person.save()
    return person


def sign_in(person: User, password: str = PASSWORD, **more: Any) -> tuple[Client, Any]:
    client = Client()
    answer = client.post(LOGIN, {"login": person.email, "password": password}, **more)
    return client, answer


def is_in(client: Client) -> bool:
    return client.get("/api/v1/me").status_code == 200


def change(client: Client, old: str, new: str) -> Any:
    form = {"oldpassword": old, "password1": new, "password2": new}
    return client.post(CHANGE, form)


def test_an_unknown_address_and_a_wrong_password_are_one_answer(ada: User) -> None:
    def told(email: str) -> tuple[int, str]:
        answer = Client().post(LOGIN, {"login": email, "password": "wrong wrong wrong"})
        text = answer.content.decode().replace(email, "")
        return answer.status_code, re.sub(r'value="[^"]*"|nonce="[^"]*"', "", text)

    assert told(ada.email) == told("nobody@shop.example")


def test_a_person_who_is_disabled_gets_the_same_answer_and_loses_every_session(ada: User) -> None:
    client, _ = sign_in(ada)
    other, _ = sign_in(ada)
    assert is_in(client)
    assert is_in(other)
    ada.is_active = False
    ada.save()
    assert not is_in(client)
    assert not is_in(other)
    again, answer = sign_in(ada)
    assert not is_in(again)
    assert answer.status_code in (200, 302)


@pytest.mark.parametrize(
    "refused",
    ["short", "elevenchars", "password1234", "qwertyuiop123", "123qwe123qwe", ""],
)
def test_a_short_or_common_password_is_not_taken(ada: User, refused: str) -> None:
    client, _ = sign_in(ada)
    assert change(client, PASSWORD, refused).status_code == 200, "the form comes back"
    ada.refresh_from_db()
    assert ada.check_password(PASSWORD)


def test_a_password_like_ones_own_name_is_not_taken(ada: User) -> None:
    client, _ = sign_in(ada)
    assert change(client, PASSWORD, ada.email).status_code == 200
    ada.refresh_from_db()
    assert ada.check_password(PASSWORD)


@pytest.mark.parametrize(
    "refused",
    ["EventPortal2026", "Welcome-portal", "portal-portal-1", "example-Portal7", "secretpassword"],
)
def test_a_password_that_is_little_but_words_of_this_place_is_not_taken(
    ada: User, settings: Any, refused: str
) -> None:
    settings.PUBLIC_URL = "https://portal.example-shop.com"
    client, _ = sign_in(ada)
    assert change(client, PASSWORD, refused).status_code == 200
    ada.refresh_from_db()
    assert ada.check_password(PASSWORD)
    assert change(client, PASSWORD, "portal of seven winters").status_code == 302, "beside others"


@pytest.mark.parametrize(
    "taken",
    ["only lower case words here", "ÜÄÖ ßéñ 漢字漢字漢字漢字", "x" * 64 + "yz" * 32, "  spaces at both ends  ",
     "4815162342108 9"],
)  # fmt: skip
def test_any_characters_and_a_great_length_are_taken_and_count_to_the_last(
    ada: User, taken: str
) -> None:
    client, _ = sign_in(ada)
    assert change(client, PASSWORD, taken).status_code == 302
    for wrong in (taken[:-1], taken.upper() if taken != taken.upper() else taken.lower()):
        if wrong != taken:
            assert not is_in(sign_in(ada, wrong)[0])
    assert is_in(sign_in(ada, taken)[0])


def test_a_change_needs_the_present_password_and_ends_every_other_session(ada: User) -> None:
    client, _ = sign_in(ada)
    elsewhere, _ = sign_in(ada)
    new = "another long and odd phrase"
    assert change(client, "wrong wrong wrong", new).status_code == 200
    ada.refresh_from_db()
    assert ada.check_password(PASSWORD)
    assert change(client, PASSWORD, new).status_code == 302
    assert is_in(client)
    assert not is_in(elsewhere)


def test_tries_are_bounded_by_address_of_the_account(ada: User) -> None:
    for _ in range(5):
        sign_in(ada, "wrong wrong wrong")
    client, answer = sign_in(ada)
    assert not is_in(client), "the right one is not taken either, for five minutes"
    assert "Too many tries" in answer.content.decode()


def test_behind_the_proxy_tries_are_counted_by_who_tries_and_not_by_the_proxy(
    ada: User, settings: Any
) -> None:
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    for number in range(12):
        stranger = make_person()
        # A forged first entry does not help: only the last is the proxy's.
        sign_in(
            stranger, "wrong wrong wrong",
            headers={"X-Forwarded-For": f"198.51.100.{number}, 203.0.113.9"},
        )  # fmt: skip
    blocked, _ = sign_in(ada, headers={"X-Forwarded-For": "203.0.113.9"})
    assert not is_in(blocked)
    client, _ = sign_in(ada, headers={"X-Forwarded-For": "203.0.113.10"})
    assert is_in(client)


def test_the_form_masks_the_password_and_lets_managers_fill_it() -> None:
    page = Client().get(LOGIN).content.decode()
    (field,) = re.findall(r"<input[^>]*name=\"password\"[^>]*>", page)
    assert 'type="password"' in field
    assert 'autocomplete="current-password"' in field
    assert "onpaste" not in page


def test_nobody_signs_up_by_themselves() -> None:
    before = User.objects.count()
    form = {"email": "new@shop.example", "password1": PASSWORD, "password2": PASSWORD}
    Client().post("/accounts/signup/", form)
    assert User.objects.count() == before


def test_passwords_are_kept_as_a_slow_salted_hash(ada: User) -> None:
    other = make_person()
    other.set_password(PASSWORD)
    assert other.password != ada.password
    assert PASSWORD not in ada.password
    assert identify_hasher(ada.password).algorithm == "pbkdf2_sha256"
    assert int(ada.password.split("$")[1]) >= 600_000


def test_a_session_is_a_random_reference_that_ends_at_logout_and_after_fourteen_days(
    ada: User, settings: Any
) -> None:
    client, _ = sign_in(ada)
    key = client.cookies["portal_session"].value
    assert re.fullmatch(r"[a-z0-9]{32}", key), "32 of 36 characters: 165 bits"
    assert Session.objects.filter(pk=key).exists(), "kept on the server"
    assert int(client.cookies["portal_session"]["max-age"]) == 14 * 86_400
    Session.objects.filter(pk=key).update(expire_date="2020-01-01T00:00:00Z")
    assert not is_in(client)
    again, _ = sign_in(ada)
    kept = again.cookies["portal_session"].value
    again.post("/accounts/logout/")
    thief = Client()
    thief.cookies["portal_session"] = kept
    assert not is_in(thief)
    assert not Session.objects.filter(pk=kept).exists()


def test_sign_ins_and_refusals_leave_a_line_without_what_was_typed(
    ada: User, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="portal.security")
    typed = f"typed-{secrets.token_hex(8)}"
    sign_in(ada, typed)
    client, _ = sign_in(ada)
    client.post("/accounts/logout/")
    lines = [
        json.loads(JsonFormatter().format(record))
        for record in caplog.records
        if record.name == "portal.security"
    ]
    assert [(line["message"], line.get("person")) for line in lines] == [
        ("sign-in refused", None),
        ("signed in", ada.pk),
        ("signed out", ada.pk),
    ]
    assert all(line["at"].endswith("+00:00") for line in lines)
    whole = json.dumps(lines)
    assert typed not in whole
    assert ada.email not in whole


def test_an_unknown_address_takes_as_long_as_a_wrong_password(ada: User) -> None:
    def took(email: str) -> float:
        cache.clear()
        began = time.process_time()
        Client().post(LOGIN, {"login": email, "password": "wrong wrong wrong"})
        return time.process_time() - began

    took(ada.email)
    known = min(took(ada.email) for _ in range(3))
    unknown = min(took("nobody@shop.example") for _ in range(3))
    assert 0.5 < known / unknown < 2, "both compute one hash"


@pytest.mark.parametrize(
    "place",
    ["//evil.example", "https:evil.example", "/\\evil.example", "https://evil.example/",
     "\\\\evil.example", "javascript:alert(1)", " //evil.example", "http:///evil.example"],
)  # fmt: skip
def test_signing_in_leads_nowhere_else(ada: User, place: str) -> None:
    form = {"login": ada.email, "password": PASSWORD, "next": place}
    answer: Any = Client().post(LOGIN, form)
    assert answer.status_code == 302
    assert answer["Location"] == "/"
    answer = Client().post("/theme/", {"theme": "dark", "next": place})
    assert answer["Location"] == "/"
