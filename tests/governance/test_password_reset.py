"""A forgotten password: a link by mail, once, within an hour, and the second factor as before."""

import logging
import re
from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from pytest_django import Settings

from governance.models import AuditEntry, Notice, User
from portal.kernel import clock
from tests.governance.test_second_factor import enter, set_up_app
from tests.support.factories import token_of
from tests.support.signing_in import PASSWORD, browser, sign_in, totp, with_password

pytestmark = pytest.mark.django_db
ASK = "/accounts/password/reset/"
NEW = "another long and odd phrase"


@pytest.fixture(autouse=True)
def _mail_is_on(settings: Settings) -> None:
    settings.MAIL_FROM = "portal@company.example"
    settings.PUBLIC_URL = "http://testserver"


def link_for(person: User) -> str:
    """The path that a mail leads to."""
    mail.outbox.clear()
    answer = browser().post(ASK, {"email": person.email})
    assert (answer.status_code, answer["Location"]) == (302, f"{ASK}done/")
    (sent,) = mail.outbox
    assert sent.to == [person.email]
    assert sent.subject == "Event portal: a new password"
    (link,) = re.findall(r"http://testserver(/accounts/\S+)", str(sent.body))
    return str(link)


def test_a_link_sets_a_new_password_once_and_signs_nobody_in() -> None:
    ada = with_password()
    laptop = sign_in(ada)
    link, other = link_for(ada), browser()
    at = other.get(link)["Location"]
    assert at.endswith("-set-password/"), "the key stays out of the address of the form"
    assert "Choose a new password" in other.get(at).content.decode()
    done = other.post(at, {"password1": NEW, "password2": NEW})
    assert (done.status_code, done["Location"]) == (302, f"{ASK}key/done/")
    assert other.get("/api/v1/me").status_code == 401
    assert laptop.get("/api/v1/me").status_code == 401, "what was open elsewhere is over"
    assert sign_in(ada, password=NEW).get("/api/v1/me").status_code == 200
    again = browser()
    assert "This link is over" in again.get(link).content.decode()
    assert Notice.objects.filter(user=ada, title="Your password was changed").exists()
    assert AuditEntry.objects.filter(action="person.password_changed").count() == 1


def test_the_second_factor_is_asked_after_a_reset_as_before() -> None:
    ada = with_password()
    with time_machine.travel(clock.now().timestamp() // 30 * 30, tick=True):
        secret = set_up_app(sign_in(ada))
        other = browser()
        at = other.get(link_for(ada))["Location"]
        other.post(at, {"password1": NEW, "password2": NEW})
        answer = other.post("/accounts/login/", {"login": ada.email, "password": NEW})
        assert answer["Location"] == "/accounts/2fa/authenticate/"
        assert other.get("/api/v1/me").status_code == 401
        assert enter(other, totp(secret))


def test_a_link_is_over_after_an_hour_and_when_the_password_is_another() -> None:
    ada = with_password()
    link = link_for(ada)
    with time_machine.travel(clock.now() + timedelta(minutes=61), tick=True):
        assert "This link is over" in browser().get(link).content.decode()
    assert browser().get(link).status_code == 302
    ada.set_password(NEW)
    ada.save()
    assert "This link is over" in browser().get(link).content.decode()


def test_a_poor_new_password_is_refused_at_its_field() -> None:
    ada = with_password()
    other = browser()
    at = other.get(link_for(ada))["Location"]
    page = other.post(at, {"password1": "qwertyuiop123", "password2": "qwertyuiop123"})
    assert 'id="id_password1_error"' in page.content.decode()
    assert User.objects.get(pk=ada.pk).check_password(PASSWORD)


def test_an_unknown_address_gets_the_same_answer_and_a_mail_that_says_so() -> None:
    ada = with_password()
    known = browser().post(ASK, {"email": ada.email})
    unknown = browser().post(ASK, {"email": "nobody@test.example"})
    assert (known.status_code, known["Location"]) == (unknown.status_code, unknown["Location"])
    assert [one.to for one in mail.outbox] == [[ada.email], ["nobody@test.example"]]
    assert "There is no account of it" in str(mail.outbox[1].body)
    assert "signup" not in str(mail.outbox[1].body)


def test_a_closed_account_gets_no_link() -> None:
    ada = with_password()
    User.objects.filter(pk=ada.pk).update(is_active=False)
    browser().post(ASK, {"email": ada.email})
    assert "/key/" not in str(mail.outbox[0].body)


def test_asking_too_often_for_one_account_is_limited() -> None:
    ada = with_password()
    statuses = [browser().post(ASK, {"email": ada.email}).status_code for _ in range(8)]
    assert statuses[0] == 302
    assert statuses[-1] == 429


@pytest.mark.parametrize("why", ["no mail", "the company's sign-in alone"])
def test_where_it_is_off_the_page_says_so_and_nothing_is_sent(
    why: str, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    ada = with_password()
    if why == "no mail":
        settings.MAIL_FROM = ""
    else:
        settings.OIDC_ONLY = True
    with caplog.at_level(logging.DEBUG):
        page = browser().post(ASK, {"email": ada.email}).content.decode()
    assert 'name="email"' not in page
    assert mail.outbox == []
    assert "/key/" not in caplog.text


def test_the_pages_stand_in_our_look_and_a_token_is_no_way_around() -> None:
    ada = with_password()
    for path in (ASK, f"{ASK}done/", f"{ASK}key/done/", f"{ASK}key/1-wrong/"):
        assert 'href="/static/css/app.css"' in browser().get(path).content.decode(), path
    refused = browser().post(
        "/accounts/password/change/", headers={"Authorization": f"Bearer {token_of(ada)}"}
    )
    assert refused.status_code in (302, 403)
