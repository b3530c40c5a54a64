"""Second factors: real codes, recovery codes, who must have one, and how secrets are kept."""

import logging
import random
import re
import secrets
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal import auth as library_codes
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as library_totp
from allauth.mfa.totp.internal.auth import generate_totp_secret
from django.db import connection
from django.test import Client
from pytest_django import Settings

from governance.models import AuditEntry, Notice, User
from governance.types import Role
from portal.kernel import clock
from tests.support.factories import token_of
from tests.support.signing_in import PASSWORD, browser, sign_in, totp, with_password

pytestmark = pytest.mark.django_db
SET_UP = "/settings/second-factor/"


@pytest.fixture(autouse=True)
def _a_half_minute_begins() -> Iterator[None]:
    """No code runs out between the moment it is worked out and the one it is looked at."""
    with time_machine.travel(clock.now().timestamp() // 30 * 30, tick=True):
        yield


def set_up_app(client: Client) -> str:
    """Set an authenticator app up, and give its secret."""
    page = client.get("/accounts/2fa/totp/activate/").content.decode()
    found = re.search(r'id="totp-key" value="([A-Z2-7]+)"', page)
    assert found, page[:500]
    secret = found[1]
    answer = client.post("/accounts/2fa/totp/activate/", {"code": totp(secret)})
    assert answer.status_code == 302, answer.content[:800]
    assert answer["Location"] == "/accounts/2fa/recovery-codes/"
    return secret


def first_step(person: User) -> Client:
    """A browser in which the password was given, and the second step is due."""
    client = browser()
    answer = client.post("/accounts/login/", {"login": person.email, "password": PASSWORD})
    assert answer["Location"] == "/accounts/2fa/authenticate/"
    return client


def enter(client: Client, code: str) -> bool:
    """Whether a code lets the browser in."""
    client.post("/accounts/2fa/authenticate/", {"code": code})
    return client.get("/api/v1/me").status_code == 200


def test_an_app_is_set_up_and_its_code_is_asked_at_the_next_sign_in() -> None:
    ada = with_password()
    laptop = sign_in(ada)
    secret = set_up_app(laptop)
    assert "Authenticator app" in laptop.get("/settings/").content.decode()
    phone = first_step(ada)
    assert phone.get("/api/v1/me").status_code == 401
    assert phone.get("/settings/").status_code == 302
    assert not enter(phone, "000000")
    assert enter(phone, totp(secret))


def test_a_code_works_once() -> None:
    ada = with_password()
    secret = set_up_app(sign_in(ada))
    code = totp(secret)
    assert enter(first_step(ada), code)
    assert not enter(first_step(ada), code)


def test_a_code_of_another_half_minute_is_refused() -> None:
    ada = with_password()
    secret = set_up_app(sign_in(ada))
    now = clock.now().timestamp()
    assert not enter(first_step(ada), totp(secret, at=now - 60))
    assert not enter(first_step(ada), totp(secret, at=now + 60))


def test_a_sign_in_says_by_what_and_a_wrong_code_leaves_a_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="portal.security")
    ada = with_password()
    secret = set_up_app(sign_in(ada))
    caplog.clear()
    client = first_step(ada)
    assert not enter(client, "000000")
    assert enter(first_step(ada), totp(secret))
    said = [
        (record.message, record.__dict__["person"], record.__dict__["method"])
        for record in caplog.records
        if record.name == "portal.security" and record.message != "refused"  # a line of a request
    ]
    assert said == [
        ("second factor refused", ada.pk, "mfa"),
        ("signed in", ada.pk, "password+mfa"),
    ]


def test_recovery_codes_are_shown_once_and_work_once() -> None:
    ada = with_password()
    laptop = sign_in(ada)
    set_up_app(laptop)
    page = laptop.get("/accounts/2fa/recovery-codes/").content.decode()
    codes = re.findall(r"\b[0-9]{8}\b", page)
    assert len(codes) == 10
    again = laptop.get("/accounts/2fa/recovery-codes/").content.decode()
    assert not any(code in again for code in codes)
    assert enter(first_step(ada), codes[3])
    assert not enter(first_step(ada), codes[3])
    assert "nine codes left" in laptop.get("/settings/").content.decode().lower()


def test_secrets_lie_sealed_in_the_database_and_open_again() -> None:
    ada = with_password()
    secret = set_up_app(sign_in(ada))
    with connection.cursor() as cursor:
        cursor.execute("SELECT data::text FROM mfa_authenticator")
        rows = [row[0] for row in cursor.fetchall()]
    assert len(rows) == 2
    assert all('"enc_' in row for row in rows)
    assert not any(secret in row for row in rows)
    found: Authenticator = Authenticator.objects.get(user=ada, type="totp")
    assert found.wrap().validate_code(totp(secret))


def test_after_ten_wrong_codes_the_right_one_is_refused_too() -> None:
    ada = with_password()
    secret = set_up_app(sign_in(ada))
    client = first_step(ada)
    for number in range(10):
        assert not enter(client, f"{number:06}")
    assert not enter(client, totp(secret))
    page = client.post("/accounts/2fa/authenticate/", {"code": "1"}).content.decode()
    assert "Too many tries" in page


def test_removing_the_app_asks_who_it_is_and_is_logged_and_told() -> None:
    ada = with_password()
    laptop = sign_in(ada)
    set_up_app(laptop)
    with time_machine.travel(clock.now().timestamp() + 16 * 60, tick=True):
        asked = laptop.post("/accounts/2fa/totp/deactivate/")
        assert asked["Location"].startswith("/accounts/reauthenticate/")
        assert Authenticator.objects.filter(user=ada, type="totp").exists()
        laptop.post(
            "/accounts/reauthenticate/",
            {"password": PASSWORD, "next": "/accounts/2fa/totp/deactivate/"},
        )
    assert not Authenticator.objects.filter(user=ada).exists()
    actions = AuditEntry.objects.filter(object_key=ada.email).values_list("action", flat=True)
    assert "second_factor.removed" in actions
    assert Notice.objects.filter(user=ada, title__contains="removed an authenticator app").exists()
    assert sign_in(ada).get("/api/v1/me").status_code == 200


def test_an_act_is_confirmed_by_a_code_too() -> None:
    ada = with_password()
    laptop = sign_in(ada)
    secret = set_up_app(laptop)
    with time_machine.travel(clock.now().timestamp() + 16 * 60, tick=True):
        page = laptop.get("/settings/confirm/", follow=True).content.decode()
        assert "/accounts/2fa/reauthenticate/" in page
        laptop.post(
            "/accounts/2fa/reauthenticate/", {"code": totp(secret), "next": "/settings/confirm/"}
        )
        assert laptop.post("/settings/", {"name": "x", "scopes": ["read"]}).status_code == 200


def test_an_admin_takes_lost_factors_off_and_nobody_else_does() -> None:
    ada, dot, cy = with_password(), with_password(Role.ADMIN), with_password()
    laptop, desk = sign_in(ada), sign_in(dot)
    set_up_app(laptop)
    assert sign_in(cy).post(f"/people/{ada.pk}/factors/").status_code == 403
    assert Authenticator.objects.filter(user=ada).exists()
    desk.post(f"/people/{ada.pk}/factors/")
    assert not Authenticator.objects.filter(user=ada).exists()
    assert laptop.get("/api/v1/me").status_code == 401
    assert sign_in(ada).get("/api/v1/me").status_code == 200
    assert Notice.objects.filter(user=ada, title="Your second factors were removed").exists()


def test_nobody_sees_or_changes_factors_without_signing_in() -> None:
    for path in (
        "/accounts/2fa/totp/activate/", "/accounts/2fa/totp/deactivate/",
        "/accounts/2fa/recovery-codes/", "/accounts/2fa/recovery-codes/generate/",
        "/accounts/2fa/recovery-codes/download/", "/accounts/2fa/webauthn/",
        "/accounts/2fa/webauthn/add/", "/accounts/2fa/webauthn/keys/1/remove/",
        "/accounts/2fa/webauthn/keys/1/edit/", "/accounts/2fa/authenticate/",
        "/accounts/2fa/reauthenticate/", "/accounts/2fa/webauthn/reauthenticate/",
        "/accounts/2fa/", SET_UP, "/settings/confirm/",
    ):  # fmt: skip
        for method in ("get", "post"):
            answer = getattr(browser(), method)(path)
            assert answer.status_code in {302, 405}, path
            if answer.status_code == 302:
                assert answer["Location"].startswith("/accounts/login/"), path


# --- Roles that need one ----------------------------------------------------------------------


@pytest.fixture
def admins_need_one(settings: Settings) -> None:
    settings.SECOND_FACTOR_ROLES = frozenset({"admin"})


@pytest.mark.usefixtures("admins_need_one")
def test_an_admin_without_one_is_led_to_set_it_up_before_anything_else() -> None:
    dot = with_password(Role.ADMIN)
    desk = sign_in(dot)
    for path in ("/", "/audit/", "/settings/", "/streams/"):
        answer = desk.get(path)
        assert (answer.status_code, answer["Location"]) == (302, SET_UP), path
    assert desk.post("/settings/", {"name": "x", "scopes": ["read"]})["Location"] == SET_UP
    assert "Your role asks for a second factor" in desk.get(SET_UP).content.decode()
    refused = desk.get("/api/v1/streams")
    assert (refused.status_code, refused.json()["code"]) == (403, "second_factor")
    set_up_app(desk)
    assert desk.get("/audit/").status_code == 200
    assert desk.get("/api/v1/streams").status_code == 200
    assert desk.get(SET_UP)["Location"] == "/settings/"


@pytest.mark.usefixtures("admins_need_one")
def test_tokens_and_other_roles_are_not_asked() -> None:
    dot, cy = with_password(Role.ADMIN), with_password(Role.ENGINEER)
    answer = Client().get("/api/v1/audit", headers={"Authorization": f"Bearer {token_of(dot)}"})
    assert answer.status_code == 200
    assert sign_in(cy).get("/settings/").status_code == 200


@pytest.mark.usefixtures("admins_need_one")
def test_a_role_that_is_given_later_asks_from_the_next_page_on() -> None:
    cy, dot = with_password(Role.ENGINEER), with_password(Role.ADMIN)
    laptop, desk = sign_in(cy), sign_in(dot)
    set_up_app(desk)
    desk.post(f"/people/{cy.pk}/roles/", {"roles": ["admin"]})
    assert laptop.get("/streams/")["Location"] == SET_UP


def test_a_code_of_the_half_minute_before_or_after_is_refused() -> None:
    ada = with_password()
    secret = set_up_app(sign_in(ada))
    now = clock.now().timestamp()
    assert not enter(first_step(ada), totp(secret, at=now - 30))
    assert not enter(first_step(ada), totp(secret, at=now + 30))
    assert enter(first_step(ada), totp(secret, at=now))


def test_seeds_come_from_the_systems_source_and_not_from_a_seeded_generator() -> None:
    made: set[str] = set()
    for _ in range(20):
        random.seed(1)
        made |= {generate_totp_secret(), RecoveryCodes.generate_seed()}
    assert len(made) == 40
    apps = [one for one in made if len(one) == 32]
    seeds = [one for one in made if len(one) == 80]
    assert (len(apps), len(seeds)) == (20, 20), "160 bits in base32, 320 in hexadecimal"
    for module in (library_totp, library_codes):
        assert module.secrets is secrets
        assert not hasattr(module, "random")


@pytest.mark.parametrize("factor", ["totp/activate", "webauthn/add"])
def test_adding_a_factor_asks_again_who_it_is(factor: str) -> None:
    laptop = sign_in(with_password())
    at = f"/accounts/2fa/{factor}/"
    assert laptop.get(at).status_code == 200
    with time_machine.travel(clock.now() + timedelta(minutes=16), tick=True):
        for answer in (laptop.get(at), laptop.post(at, {"code": "123456"})):
            assert answer["Location"].startswith("/accounts/reauthenticate/")


def test_whoever_takes_factors_off_is_told_to_make_sure_who_asks() -> None:
    ada, dot = with_password(), with_password(Role.ADMIN)
    set_up_app(sign_in(ada))
    said = "First make sure who asks: face to face"
    assert said in sign_in(dot).get(f"/people/{ada.pk}/").content.decode()
    page = (Path(__file__).resolve().parents[2] / "docs/sign-in.md").read_text()
    assert "Before that the admin makes sure who asks" in page
