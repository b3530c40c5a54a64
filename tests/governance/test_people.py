"""Admins make people: the link to a first password by mail, or shown once; roles, closing, the last admin."""

import json
import logging
import re
from smtplib import SMTPException
from typing import Any

import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from governance.models import AuditEntry, KeptAnswer, Notice, User
from governance.services.accounts import roles_of
from governance.services.company_sign_in import set_sign_in_group
from governance.types import Role
from portal.kernel.actor import SYSTEM
from tests.governance.test_sudo import confirm, later
from tests.support.factories import make_person, make_team, token_of
from tests.support.signing_in import browser, sign_in, with_password

pytestmark = pytest.mark.django_db
AT = "/api/v1/people"
EVE = {"email": "Eve@Company.example", "name": "Eve Moss"}
CHOSEN = "another long and odd phrase"


@pytest.fixture(autouse=True)
def _own_address(settings: Settings) -> None:
    settings.PUBLIC_URL = "http://testserver"


@pytest.fixture
def mail_is_on(settings: Settings) -> None:
    settings.MAIL_FROM = "portal@company.example"


def api(person: User, *scopes: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {token_of(person, *scopes)}"})


def admin() -> Client:
    return api(make_person(Role.ADMIN))


def post(client: Client, path: str, body: Any, **headers: str) -> Any:
    return client.post(path, json.dumps(body), content_type="application/json", headers=headers)


def pointers(answer: Any) -> list[str]:
    return [one["pointer"] for one in answer.json()["errors"]]


def choose(link: str) -> Any:
    """Choose a password by a link, in a browser of its own."""
    other = browser()
    at = other.get(link.removeprefix("http://testserver"))["Location"]
    return other.post(at, {"password1": CHOSEN, "password2": CHOSEN})


@pytest.mark.usefixtures("mail_is_on")
def test_a_new_person_gets_a_mail_chooses_a_password_and_signs_in() -> None:
    team = make_team("Checkout")
    made = post(admin(), AT, {**EVE, "roles": ["engineer"], "teams": [team.slug]})
    assert made.status_code == 201, made.content
    said = made.json()
    assert made["Location"] == f"{AT}/{said['id']}"
    assert (said["email"], said["roles"], said["teams"], said["is_active"]) == (
        "eve@company.example", ["engineer"], [team.slug], True,
    )  # fmt: skip
    assert (said["handed"], said["link"]) == ("mailed", None)
    (sent,) = mail.outbox
    assert sent.to == ["eve@company.example"]
    assert sent.from_email == "portal@company.example"
    (link,) = re.findall(r"http://testserver/accounts/password/reset/key/\S+", str(sent.body))
    assert link not in made.content.decode()
    assert choose(link).status_code == 302
    eve = User.objects.get(email="eve@company.example")
    assert sign_in(eve, password=CHOSEN).get("/api/v1/me").json()["teams"] == [team.slug]
    assert "This link is over" in browser().get(link).content.decode(), "it opens once"


def test_without_mail_the_admin_is_shown_the_link_once_and_nothing_keeps_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = admin()
    with caplog.at_level(logging.DEBUG):
        made = post(client, AT, EVE, **{"Idempotency-Key": "once"})
    link = made.json()["link"]
    assert made.json()["handed"] == "shown"
    assert made["Cache-Control"] == "no-store"
    assert mail.outbox == []
    secret = link.rpartition("/key/")[2].strip("/").partition("-")[2]
    assert len(secret) > 20
    assert secret not in caplog.text
    rows = AuditEntry.objects.values_list("summary", "detail")
    assert secret not in str(list(rows))
    assert secret.encode() not in bytes(KeptAnswer.objects.get().body), "sealed by the key it sent"
    assert secret not in client.get(made["Location"]).content.decode()
    assert choose(link).status_code == 302
    eve = User.objects.get(pk=made.json()["id"])
    assert sign_in(eve, password=CHOSEN).get("/api/v1/me").status_code == 200


@pytest.mark.usefixtures("mail_is_on")
def test_a_mail_that_is_not_taken_leaves_the_account_and_another_link_can_be_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: Any) -> int:
        raise SMTPException("eve@company.example is full")

    client = admin()
    with monkeypatch.context() as broken:
        broken.setattr(EmailBackend, "send_messages", refuse)
        made = post(client, AT, EVE)
    assert (made.status_code, made.json()["handed"], made.json()["link"]) == (
        201, "not_mailed", None,
    )  # fmt: skip
    again = post(client, f"{AT}/{made.json()['id']}/link", {})
    assert (again.status_code, again.json()["handed"]) == (200, "mailed")
    assert len(mail.outbox) == 1


def test_where_the_company_alone_lets_people_in_there_is_no_link(settings: Settings) -> None:
    settings.OIDC_ONLY = True
    made = post(admin(), AT, EVE)
    assert (made.json()["handed"], made.json()["link"]) == ("company", None)
    assert post(admin(), f"{AT}/{made.json()['id']}/link", {}).status_code == 409


@pytest.mark.parametrize("who", ["set a password", "signed in", "is closed"])
def test_no_link_opens_an_account_that_somebody_uses_or_that_is_closed(who: str) -> None:
    eve = with_password() if who == "set a password" else make_person()
    if who == "signed in":
        browser().force_login(eve)
    if who == "is closed":
        User.objects.filter(pk=eve.pk).update(is_active=False)
    refused = post(admin(), f"{AT}/{eve.pk}/link", {})
    assert (refused.status_code, refused.json()["code"]) == (409, "invalid_state")
    assert not AuditEntry.objects.filter(action="person.invited").exists()


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"email": "nobody"}, ["/email"]),
        ({"name": "  "}, ["/name"]),
        ({"roles": ["emperor"]}, ["/roles"]),
        ({"teams": ["never-was"]}, ["/teams/0"]),
        ({"email": "x", "name": " ", "teams": ["no", "none"]},
         ["/email", "/name", "/teams/0", "/teams/1"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_at_its_field_and_nobody_is_made(
    change: dict[str, Any], where: list[str]
) -> None:
    client = admin()
    before = User.objects.count()
    refused = post(client, AT, EVE | change)
    assert (refused.status_code, pointers(refused)) == (422, where)
    assert User.objects.count() == before


def test_an_address_has_one_account_whatever_its_case() -> None:
    client = admin()
    assert post(client, AT, EVE).status_code == 201
    again = post(client, AT, EVE | {"email": "EVE@company.example"})
    assert (again.status_code, pointers(again)) == (409, ["/email"])


def test_a_team_that_follows_a_group_takes_nobody_by_hand(settings: Settings) -> None:
    settings.OIDC_ISSUER, settings.OIDC_GROUPS_CLAIM = "https://id.example", "groups"
    team = make_team()
    set_sign_in_group(team, "checkout", actor=SYSTEM)
    refused = post(admin(), AT, EVE | {"teams": [team.slug]})
    assert (refused.status_code, pointers(refused)) == (422, ["/teams/0"])
    assert not User.objects.filter(email="eve@company.example").exists()


def test_an_outsider_makes_nobody_and_changes_nobody() -> None:
    lead = make_person(Role.ENGINEER, team=make_team(), is_lead=True)
    eve = make_person()
    for client in (api(lead), api(make_person(Role.ADMIN), "read", "write")):
        assert post(client, AT, EVE).status_code == 403
        assert post(client, f"{AT}/{eve.pk}/link", {}).status_code == 403
        patched = client.patch(
            f"{AT}/{eve.pk}", json.dumps({"roles": ["admin"]}), content_type="application/json",
            headers={"If-Match": "*"},
        )  # fmt: skip
        assert patched.status_code == 403
    assert roles_of(eve) == set()
    assert not User.objects.filter(email="eve@company.example").exists()


def test_people_are_listed_by_address_and_found_by_it() -> None:
    eve, adam = make_person(), make_person(Role.ANALYST)
    User.objects.filter(pk=adam.pk).update(is_active=False)
    client = api(eve)
    found = client.get(AT, {"email": adam.email.upper()}).json()["items"]
    assert [(one["id"], one["roles"], one["is_active"]) for one in found] == [
        (adam.pk, ["analyst"], False)
    ]
    here = [one["id"] for one in client.get(AT, {"active": "true"}).json()["items"]]
    assert eve.pk in here
    assert adam.pk not in here


def test_the_list_takes_as_many_queries_for_twenty_as_for_two() -> None:
    client = admin()
    make_person(Role.ENGINEER, team=make_team())

    def count() -> int:
        with CaptureQueriesContext(connection) as found:
            client.get(AT)
        return len(found)

    few = count()
    for _ in range(20):
        make_person(Role.ENGINEER, Role.ANALYST, team=make_team())
    assert count() == few


def change(client: Client, person: User, **changes: Any) -> Any:
    tag = client.get(f"{AT}/{person.pk}")["ETag"]
    return client.patch(
        f"{AT}/{person.pk}", json.dumps(changes), content_type="application/json",
        headers={"If-Match": tag},
    )  # fmt: skip


def test_an_admin_changes_name_roles_and_whether_the_account_is_in_use() -> None:
    client, eve = admin(), make_person(Role.ANALYST)
    token = api(eve)
    done = change(client, eve, name="Eve Ash", roles=["engineer"], is_active=False)
    assert done.status_code == 200, done.content
    said = done.json()
    assert (said["name"], said["roles"], said["is_active"]) == ("Eve Ash", ["engineer"], False)
    assert token.get("/api/v1/me").status_code == 401, "closed: its tokens are refused at once"
    assert change(client, eve, is_active=True).json()["is_active"] is True
    assert token.get("/api/v1/me").json()["roles"] == ["engineer"]
    actions = AuditEntry.objects.filter(object_key=eve.email).values_list("action", flat=True)
    assert {"person.renamed", "person.roles_changed", "person.disabled", "person.enabled"} <= set(
        actions
    )


def test_a_change_of_what_somebody_changed_meanwhile_is_refused() -> None:
    client, eve = admin(), make_person()
    tag = client.get(f"{AT}/{eve.pk}")["ETag"]
    assert change(client, eve, roles=["analyst"]).status_code == 200
    stale = client.patch(
        f"{AT}/{eve.pk}", json.dumps({"roles": ["admin"]}), content_type="application/json",
        headers={"If-Match": tag},
    )  # fmt: skip
    assert stale.status_code == 412
    assert roles_of(eve) == {"analyst"}


def test_the_last_admin_stays_one_and_nobody_closes_their_own_account() -> None:
    dot = make_person(Role.ADMIN)
    client = api(dot)
    last = change(client, dot, roles=["engineer"])
    assert (last.status_code, last.json()["code"]) == (409, "invalid_state")
    own = change(client, dot, name="Dot Else", is_active=False)
    assert own.status_code == 409
    dot.refresh_from_db()
    assert (roles_of(dot), dot.is_active, dot.name != "Dot Else") == ({"admin"}, True, True)
    other = make_person(Role.ADMIN)
    assert change(client, other, is_active=False).status_code == 200
    assert change(client, dot, roles=[]).status_code == 409, "a closed account is no other admin"


def test_the_page_makes_a_person_and_shows_the_link_once() -> None:
    desk, team = sign_in(with_password(Role.ADMIN)), make_team("Checkout")
    assert "you are shown the link" in desk.get("/people/new/").content.decode()
    form = {"email": "eve@company.example", "name": "Eve Moss", "roles": ["analyst"],
            "teams": [team.slug]}  # fmt: skip
    made = desk.post("/people/new/", form)
    assert made["Cache-Control"] == "no-store"
    page = made.content.decode()
    (link,) = re.findall(r"http://testserver/accounts/password/reset/key/[^\s<]+", page)
    eve = User.objects.get(email="eve@company.example")
    own = desk.get(f"/people/{eve.pk}/").content.decode()
    assert link not in own
    assert "Make another link" in own
    assert "Checkout" in own
    again = desk.post(f"/people/{eve.pk}/link/").content.decode()
    assert "/accounts/password/reset/key/" in again
    choose(link)
    assert "Make another link" not in desk.get(f"/people/{eve.pk}/").content.decode()
    refused = desk.post(f"/people/{eve.pk}/link/", follow=True).content.decode()
    assert "There is no link for this account" in refused


def test_the_page_says_what_is_wrong_at_the_field() -> None:
    desk, eve = sign_in(with_password(Role.ADMIN)), make_person()
    page = desk.post("/people/new/", {"email": eve.email, "name": ""})
    assert page.status_code == 422
    assert 'id="id_name_error"' in page.content.decode()
    page = desk.post("/people/new/", {"email": eve.email, "name": "Eve"})
    assert 'id="id_email_error"' in page.content.decode()
    assert "has an account already" in page.content.decode()


@pytest.mark.usefixtures("mail_is_on")
def test_the_page_sends_a_mail_and_goes_to_the_new_person() -> None:
    desk = sign_in(with_password(Role.ADMIN))
    made = desk.post("/people/new/", {"email": "eve@company.example", "name": "Eve"})
    eve = User.objects.get(email="eve@company.example")
    assert (made.status_code, made["Location"]) == (302, f"/people/{eve.pk}/")
    assert len(mail.outbox) == 1


def test_the_pages_let_no_outsider_in_and_ask_again_who_it_is() -> None:
    eve = make_person()
    cy = sign_in(with_password(Role.ENGINEER))
    form = {"email": "eve@company.example", "name": "Eve"}
    assert cy.get("/people/").status_code == 200
    assert "Make a person" not in cy.get("/people/").content.decode()
    assert cy.get("/people/new/").status_code == 403
    assert cy.post("/people/new/", form).status_code == 403
    assert cy.post(f"/people/{eve.pk}/link/").status_code == 403
    desk = sign_in(with_password(Role.ADMIN))
    with later(16):
        asked = desk.post("/people/new/", form)
        assert asked["Location"].startswith("/accounts/reauthenticate/")
        assert not User.objects.filter(email="eve@company.example").exists()
        desk.get(asked["Location"])
        assert "A link for Eve" in confirm(desk, "/people/new/").content.decode()
    with later(33):
        for path, body in ((AT, EVE), (f"{AT}/{eve.pk}/link", {})):
            refused = post(desk, path, body)
            assert (refused.status_code, refused.json()["code"]) == (403, "confirm")


def test_a_new_account_is_in_the_log_and_its_person_is_told_of_nothing_by_the_portal() -> None:
    made = post(admin(), AT, EVE | {"roles": ["analyst"]})
    (entry,) = AuditEntry.objects.filter(action="person.signed_up")
    assert entry.object_key == "eve@company.example"
    assert entry.summary == (
        "made the account of eve@company.example with the roles analyst; was shown the link"
    )
    assert not Notice.objects.filter(user=made.json()["id"]).exists()
