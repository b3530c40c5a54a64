"""Dangerous acts ask again who it is, and tokens are asked nothing."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client

from governance.models import AuditEntry, Key, Notice, User
from governance.services.accounts import roles_of
from governance.types import Role
from portal.kernel import clock
from tests.support.factories import make_person, token_of
from tests.support.signing_in import PASSWORD, sign_in, with_password

pytestmark = pytest.mark.django_db
JSON = "application/json"
TOKEN = {"name": "script", "scopes": ["read"]}


def later(minutes: int) -> Any:
    return time_machine.travel(clock.now() + timedelta(minutes=minutes), tick=True)


def confirm(client: Client, at: str, password: str = PASSWORD) -> Any:
    return client.post("/accounts/reauthenticate/", {"password": password, "next": at})


def test_right_after_signing_in_nothing_is_asked() -> None:
    ada = with_password()
    laptop = sign_in(ada)
    assert laptop.post("/settings/", TOKEN).status_code == 200
    assert Key.objects.filter(user=ada).count() == 1


def test_a_quarter_of_an_hour_later_the_password_is_asked_and_the_act_goes_on() -> None:
    ada = with_password()
    laptop = sign_in(ada)
    with later(16):
        asked = laptop.post("/settings/", TOKEN)
        assert (asked.status_code, asked["Location"]) == (
            302, "/accounts/reauthenticate/?next=%2Fsettings%2F",
        )  # fmt: skip
        assert not Key.objects.filter(user=ada).exists()
        page = laptop.get(asked["Location"])
        assert "Confirm that it is you" in page.content.decode()
        done = confirm(laptop, "/settings/")
        assert done.status_code == 200
        assert "Your new token" in done.content.decode()
        assert Key.objects.filter(user=ada).count() == 1
        laptop.post("/settings/", TOKEN)
        assert Key.objects.filter(user=ada).count() == 2
    with later(33):
        assert laptop.post("/settings/", TOKEN).status_code == 302


def test_a_wrong_password_lets_nothing_through() -> None:
    ada = with_password()
    laptop = sign_in(ada)
    with later(16):
        laptop.post("/settings/", TOKEN)
        refused = confirm(laptop, "/settings/", "not the password at all")
        assert "That is not your password." in refused.content.decode()
        assert laptop.post("/settings/", TOKEN).status_code == 302
    assert not Key.objects.filter(user=ada).exists()


def test_reading_is_not_asked_about() -> None:
    laptop = sign_in(with_password())
    with later(60):
        assert laptop.get("/settings/").status_code == 200


def test_a_session_is_refused_by_the_api_where_a_token_is_not() -> None:
    dot = with_password(Role.ADMIN)
    laptop, token = sign_in(dot), token_of(dot)
    with later(16):
        for path in ("/api/v1/keys", "/api/v1/privacy-keys/rotate"):
            refused = laptop.post(path, {"name": "x"}, JSON)
            assert (refused.status_code, refused.json()["code"]) == (403, "confirm")
            assert refused.json()["request_at"] == "/settings/confirm/"
        by_token = Client().post(
            "/api/v1/keys", {"name": "x"}, JSON, headers={"Authorization": f"Bearer {token}"}
        )
        assert by_token.status_code == 201
        asked = laptop.get("/settings/confirm/")
        assert asked["Location"].startswith("/accounts/reauthenticate/")
        assert confirm(laptop, "/settings/confirm/").status_code == 302
        assert laptop.post("/api/v1/keys", {"name": "x"}, JSON).status_code == 201


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/people/{0}/roles/", {"roles": ["admin"]}),
        ("/people/{0}/sessions/", {}),
        ("/people/{0}/open/", {"open": "no"}),
        ("/privacy/rotate/", {}),
        ("/privacy/exports/0192f0a0-0000-7000-8000-000000000010/download/", {}),
        ("/privacy/exports/0192f0a0-0000-7000-8000-000000000010/delete/", {}),
    ],
)
def test_every_dangerous_page_asks(path: str, body: dict[str, Any]) -> None:
    dot, ben = with_password(Role.ADMIN), make_person()
    desk = sign_in(dot)
    with later(16):
        answer = desk.post(path.format(ben.pk), body)
        assert answer["Location"].startswith("/accounts/reauthenticate/")
    ben.refresh_from_db()
    assert ben.is_active
    assert roles_of(ben) == set()


def test_an_admin_gives_a_role_which_is_logged_and_told() -> None:
    dot, ben = with_password(Role.ADMIN), make_person(Role.ANALYST)
    desk = sign_in(dot)
    assert "Roles" in desk.get(f"/people/{ben.pk}/").content.decode()
    desk.post(f"/people/{ben.pk}/roles/", {"roles": ["admin", "engineer"]})
    assert roles_of(ben) == {"admin", "engineer"}
    entry = AuditEntry.objects.filter(action="person.roles_changed").get()
    assert entry.detail == {
        "before": {"roles": ["analyst"]}, "after": {"roles": ["admin", "engineer"]},
    }  # fmt: skip
    assert Notice.objects.filter(user=ben, title="Your roles were changed").count() == 1


def test_others_give_no_roles_and_see_no_form() -> None:
    cy, ben = with_password(Role.ENGINEER), make_person()
    laptop = sign_in(cy)
    assert laptop.post(f"/people/{ben.pk}/roles/", {"roles": ["admin"]}).status_code == 403
    assert laptop.post(f"/people/{ben.pk}/open/", {"open": "no"}).status_code == 403
    assert "Change the roles" not in laptop.get(f"/people/{ben.pk}/").content.decode()
    assert roles_of(ben) == set()


def test_the_last_admin_stays_one_and_a_role_nobody_knows_is_refused() -> None:
    dot = with_password(Role.ADMIN)
    desk = sign_in(dot)
    said = desk.post(f"/people/{dot.pk}/roles/", {"roles": ["analyst"]}, follow=True)
    assert "They are the last admin" in said.content.decode()
    assert roles_of(dot) == {"admin"}
    said = desk.post(f"/people/{dot.pk}/roles/", {"roles": ["admin", "king"]}, follow=True)
    assert "There is no such role" in said.content.decode()


def test_an_account_is_closed_and_opened_again_but_never_ones_own() -> None:
    dot, ben = with_password(Role.ADMIN), make_person()
    desk = sign_in(dot)
    desk.post(f"/people/{ben.pk}/open/", {"open": "no"})
    assert not User.objects.get(pk=ben.pk).is_active
    desk.post(f"/people/{ben.pk}/open/", {"open": "yes"})
    assert User.objects.get(pk=ben.pk).is_active
    own = desk.post(f"/people/{dot.pk}/open/", {"open": "no"}, follow=True)
    assert "Nobody does this to their own account" in own.content.decode()
