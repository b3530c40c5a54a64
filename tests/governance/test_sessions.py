"""Where people are signed in: seen, ended by them, by a new password, by an admin, by closing."""

import time
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.sessions.models import Session
from django.db.models.functions import Now
from django.test import Client
from pytest_django import Settings

from governance import seen
from governance.browsers import in_words
from governance.models import AuditEntry, Notice, PersonSession, User
from governance.selectors.people import actor_of
from governance.services.accounts import disable_person
from governance.services.keys import find_key
from governance.services.sessions import note_session
from governance.types import Role
from portal.kernel import clock
from portal.kernel.actor import SYSTEM
from tests.support.factories import make_person, token_of
from tests.support.signing_in import PASSWORD, browser, sign_in, with_password

pytestmark = pytest.mark.django_db
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1"
)
EDGE = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0"
)


def is_in(client: Client) -> bool:
    """Whether a browser is signed in, as API and pages say alike."""
    by_api = client.get("/api/v1/me").status_code == 200
    assert by_api == (client.get("/settings/").status_code == 200)
    return by_api


@pytest.mark.parametrize(
    ("agent", "said"),
    [
        (IPHONE, "Safari on iPhone"),
        (EDGE, "Edge on Windows"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36", "Chrome on Android"),
        ("<script>alert(1)</script>", "An unknown browser"),
        ("", "An unknown browser"),
    ],
)  # fmt: skip
def test_a_browser_is_said_in_words_and_nothing_of_its_own_is_repeated(
    agent: str, said: str
) -> None:
    assert in_words(agent) == said


def test_the_settings_page_lists_where_one_is_signed_in_and_marks_this_one() -> None:
    ada = with_password()
    laptop, phone = sign_in(ada), sign_in(ada, browser(IPHONE))
    page = laptop.get("/settings/").content.decode()
    assert "Firefox on Linux" in page
    assert "Safari on iPhone" in page
    assert page.count("this one") == 1
    assert phone.cookies["portal_session"].value not in page


def test_signing_one_browser_out_ends_that_one_at_once() -> None:
    ada = with_password()
    laptop, phone = sign_in(ada), sign_in(ada, browser(IPHONE))
    row = PersonSession.objects.get(session_id=phone.cookies["portal_session"].value)
    answer = laptop.post(f"/settings/sessions/{row.pk}/end/")
    assert answer.status_code == 302
    assert is_in(laptop)
    assert not is_in(phone)
    entry = AuditEntry.objects.filter(action="session.ended").latest("seq")
    assert entry.summary == "signed Safari on iPhone out"


def test_signing_out_elsewhere_leaves_only_this_browser() -> None:
    ada, ben = with_password(), with_password()
    laptop, phone, tablet, other = sign_in(ada), sign_in(ada), sign_in(ada), sign_in(ben)
    laptop.post("/settings/sessions/end/")
    assert [is_in(client) for client in (laptop, phone, tablet, other)] == [
        True, False, False, True,
    ]  # fmt: skip
    assert PersonSession.objects.filter(user=ada).count() == 1


def test_nobody_ends_a_session_of_somebody_else_nor_learns_of_it() -> None:
    ada, cy = with_password(), with_password()
    laptop, stranger = sign_in(ada), sign_in(cy)
    row = PersonSession.objects.get(user=ada)
    assert stranger.post(f"/settings/sessions/{row.pk}/end/").status_code == 404
    assert is_in(laptop)


def test_a_new_password_ends_every_other_session_and_is_told() -> None:
    ada = with_password()
    laptop, phone = sign_in(ada), sign_in(ada)
    new = "another long and odd phrase"
    answer = laptop.post(
        "/accounts/password/change/",
        {"oldpassword": PASSWORD, "password1": new, "password2": new},
    )
    assert (answer.status_code, answer["Location"]) == (302, "/settings/")
    assert is_in(laptop)
    assert not is_in(phone)
    assert PersonSession.objects.filter(user=ada).count() == 1
    assert Notice.objects.filter(user=ada, title="Your password was changed").count() == 1
    assert AuditEntry.objects.filter(action="person.password_changed").count() == 1


def test_a_password_that_is_set_elsewhere_ends_sessions_too() -> None:
    ada = with_password()
    laptop = sign_in(ada)
    ada.set_password("set by a command of the server")
    ada.save()
    assert not is_in(laptop)


def test_closing_an_account_ends_its_sessions_and_refuses_its_tokens() -> None:
    ada = with_password()
    laptop, token = sign_in(ada), token_of(ada)
    disable_person(ada, actor=SYSTEM)
    assert not is_in(laptop)
    assert not Session.objects.filter(pk=laptop.cookies["portal_session"].value).exists()
    assert find_key(token) is None
    answer = browser().post("/accounts/login/", {"login": ada.email, "password": PASSWORD})
    assert answer.status_code != 302 or "/inactive/" in answer["Location"]


def test_a_flag_in_the_database_alone_ends_sessions_of_a_closed_account() -> None:
    ada = with_password()
    laptop = sign_in(ada)
    User.objects.filter(pk=ada.pk).update(is_active=False)
    assert not is_in(laptop)


def test_a_session_ends_two_weeks_after_it_began_however_much_it_is_used() -> None:
    ada = with_password()
    laptop = sign_in(ada)
    for days, stays in ((13, True), (15, False)):
        session = laptop.session
        records = session["account_authentication_methods"]
        records[0]["at"] = time.time() - days * 86_400
        session["account_authentication_methods"] = records
        session.save()
        assert is_in(laptop) == stays
    assert laptop.get("/settings/")["Location"].startswith("/accounts/login/")


def test_signing_out_takes_the_session_off_the_list() -> None:
    ada = with_password()
    laptop = sign_in(ada)
    laptop.post("/accounts/logout/")
    assert not is_in(laptop)
    assert not PersonSession.objects.filter(user=ada).exists()


def test_a_session_from_before_the_list_is_noted_when_it_is_used() -> None:
    ada = with_password()
    laptop = sign_in(ada)
    PersonSession.objects.all().delete()
    seen._noted.clear()
    laptop.get("/settings/")
    assert PersonSession.objects.filter(user=ada).count() == 1


def test_being_seen_is_written_at_most_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    ada = with_password()
    laptop = sign_in(ada)
    before = PersonSession.objects.get(user=ada).last_seen_at
    calls: list[str] = []

    def note(key: str, **fields: Any) -> None:
        calls.append(key)
        note_session(key, **fields)

    monkeypatch.setattr(seen, "note_session", note)
    for _ in range(5):
        laptop.get("/settings/")
    assert calls == []
    monkeypatch.setattr(seen, "_EVERY_SECONDS", 0)
    laptop.get("/settings/")
    assert len(calls) == 1
    assert PersonSession.objects.get(user=ada).last_seen_at >= before


def test_a_session_that_was_ended_is_not_noted_again() -> None:
    ada = make_person()
    note_session("gone" * 8, user_id=ada.pk, browser="Firefox", address=None)
    assert not PersonSession.objects.exists()


def test_an_admin_signs_somebody_out_everywhere_and_others_may_not() -> None:
    ada, dot, cy = with_password(), with_password(Role.ADMIN), with_password(Role.ENGINEER)
    laptop, desk, stranger = sign_in(ada), sign_in(dot), sign_in(cy)
    assert stranger.post(f"/people/{ada.pk}/sessions/").status_code == 403
    assert is_in(laptop)
    assert desk.post(f"/people/{ada.pk}/sessions/").status_code == 302
    assert not is_in(laptop)
    assert actor_of(ada).id == ada.pk


def last_seen(person: User, hours: float) -> None:
    """Have every session of a person last used so long ago, and no process remember otherwise."""
    at = Now() - timedelta(hours=hours)
    PersonSession.objects.filter(user=person).update(last_seen_at=at)
    seen._noted.clear()


def test_a_session_that_nobody_used_for_three_days_is_over_and_one_over_a_weekend_is_not() -> None:
    ada = with_password()
    laptop = sign_in(ada)
    last_seen(ada, 71)
    assert is_in(laptop)
    assert PersonSession.objects.get(user=ada).last_seen_at > clock.now() - timedelta(hours=1)
    last_seen(ada, 73)
    assert not is_in(laptop)
    assert not Session.objects.filter(pk=laptop.cookies["portal_session"].value).exists()


def test_an_operator_may_have_idle_sessions_end_sooner(settings: Settings) -> None:
    ada = with_password()
    settings.SESSION_IDLE_HOURS = 1
    phone = sign_in(ada)
    last_seen(ada, 1.1)
    assert phone.get("/api/v1/me").status_code == 401


@pytest.mark.parametrize("which", ["one", "all"])
def test_ending_ones_sessions_asks_again_who_it_is(which: str) -> None:
    ada = with_password()
    laptop, phone = sign_in(ada), sign_in(ada, browser(IPHONE))
    row = PersonSession.objects.get(session_id=phone.cookies["portal_session"].value)
    at = f"/settings/sessions/{row.pk}/end/" if which == "one" else "/settings/sessions/end/"
    with time_machine.travel(clock.now() + timedelta(minutes=16), tick=True):
        asked = laptop.post(at)
        assert asked["Location"].startswith("/accounts/reauthenticate/")
        assert is_in(phone)
        laptop.post("/accounts/reauthenticate/", {"password": PASSWORD, "next": at})
        assert not is_in(phone)
