"""Notices: told once, in the transaction of the change, to who may know, and mailed from there."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from smtplib import SMTPServerDisconnected
from typing import Any

import pytest
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.db import transaction
from django.test import Client
from pytest_django import Settings

from catalog.models import Stream
from governance.models import Notice, User
from governance.selectors.notices import unread_count, visible_notices
from governance.selectors.people import actor_of
from governance.services import mails, notices
from governance.services.notices import News, tell
from governance.types import MailState, MailWish, NoticeKind, Permission, ResourceRef, Role
from portal.kernel import clock
from portal.kernel.actor import SYSTEM
from portal.kernel.errors import NotFoundError
from tests.support.factories import make_grant, make_person, make_stream, make_team, token_of

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


class Refusing(BaseEmailBackend):
    """A mail server that is away."""

    tried: int = 0

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        Refusing.tried += 1
        raise SMTPServerDisconnected("away")


@pytest.fixture
def mail_on(settings: Settings) -> Settings:
    settings.MAIL_FROM = "portal@test.example"
    return settings


def news(stream: Stream, number: int = 1, **more: Any) -> News:
    return News(
        NoticeKind.CHANGED, stream.ref, f"News {number}", f"Fact {number}.", "/streams/", **more
    )


def wisher(wish: MailWish) -> User:
    person = make_person()
    User.objects.filter(pk=person.pk).update(notice_mail=wish)
    person.refresh_from_db()
    return person


# --- Telling and reading ----------------------------------------------------------------------


def test_who_did_it_is_not_told_and_a_thing_is_told_once() -> None:
    stream, doer, other, gone = make_stream(), make_person(), make_person(), make_person()
    User.objects.filter(pk=gone.pk).update(is_active=False)
    people = [doer.pk, other.pk, gone.pk]
    tell(people, news(stream, dedupe="once"), by=actor_of(doer))
    tell(people, news(stream, dedupe="once"), by=actor_of(doer))
    assert list(Notice.objects.values_list("user", flat=True)) == [other.pk]
    tell([other.pk], news(stream), by=SYSTEM)
    tell([other.pk], news(stream), by=SYSTEM)
    assert Notice.objects.count() == 3


def test_what_is_undone_was_never_told() -> None:
    stream, person = make_stream(), make_person()

    def change_and_fail() -> None:
        with transaction.atomic():
            tell([person.pk], news(stream), by=SYSTEM)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        change_and_fail()
    assert not Notice.objects.exists()


def test_a_notice_is_not_shown_while_its_reader_may_not_know_of_the_stream() -> None:
    stream, person = make_stream(team=make_team()), make_person()
    tell([person.pk], news(stream), by=SYSTEM)
    tell([person.pk], News(NoticeKind.CHANGED, ResourceRef("domain", "testing"), "D", "D", "/"),
         by=SYSTEM)  # fmt: skip
    (notice, _) = visible_notices(actor_of(person)).order_by("created_at")
    Stream.objects.update(restricted=True)
    assert [row.title for row in visible_notices(actor_of(person))] == ["D"]
    assert unread_count(actor_of(person)) == 1
    with pytest.raises(NotFoundError):
        notices.mark_read(notice.pk, actor=actor_of(person))
    make_grant(stream, person, Permission.DISCOVER)
    assert unread_count(actor_of(person)) == 2


def test_reading_all_leaves_what_came_since_and_what_is_of_others() -> None:
    stream, mine, other = make_stream(), make_person(), make_person()
    for hours in (3, 2, 1):
        tell([mine.pk, other.pk], news(stream, hours), by=SYSTEM, at=NOON - timedelta(hours=hours))
    count = notices.mark_all_read(actor=actor_of(mine), until=NOON - timedelta(hours=2))
    assert count == 2
    assert [row.title for row in visible_notices(actor_of(mine)).filter(read_at=None)] == ["News 1"]
    assert unread_count(actor_of(other)) == 3


def test_notices_read_ninety_days_ago_are_forgotten_and_unread_ones_kept() -> None:
    stream, person = make_stream(), make_person()
    for number in range(3):
        tell([person.pk], news(stream, number), by=SYSTEM)
    old, recent, unread = Notice.objects.order_by("title")
    Notice.objects.filter(pk=old.pk).update(read_at=clock.now() - timedelta(days=91))
    Notice.objects.filter(pk=recent.pk).update(read_at=clock.now() - timedelta(days=89))
    Notice.objects.filter(pk=unread.pk).update(created_at=clock.now() - timedelta(days=400))
    assert notices.forget_old_notices() == 1
    assert set(Notice.objects.values_list("pk", flat=True)) == {recent.pk, unread.pk}


# --- Mail -------------------------------------------------------------------------------------


def test_without_an_address_nothing_is_mailed_and_the_page_says_so(
    settings: Settings, mailoutbox: list[EmailMessage]
) -> None:
    settings.MAIL_FROM = ""
    person = wisher(MailWish.EACH)
    tell([person.pk], news(make_stream()), by=SYSTEM)
    assert mails.send_due_mails() == 0
    assert Notice.objects.get().mail_state == MailState.NONE
    client = Client()
    client.force_login(person)
    assert "no address to send mail from" in client.get("/notifications/").content.decode()
    assert mailoutbox == []


def test_a_mail_each_names_the_thing_and_is_sent_once(
    mail_on: Settings, mailoutbox: list[EmailMessage]
) -> None:
    person, stream = wisher(MailWish.EACH), make_stream()
    tell([person.pk], news(stream), by=SYSTEM)
    assert mails.send_due_mails() == 1
    assert mails.send_due_mails() == 0
    (mail,) = mailoutbox
    assert (mail.subject, mail.to) == ("[Event portal] News 1", [person.email])
    assert f"{mail_on.PUBLIC_URL}/streams/" in mail.body
    assert Notice.objects.get().mail_state == MailState.SENT


def test_no_text_of_a_title_becomes_a_header_or_holds_up_other_mail(
    mail_on: Settings, mailoutbox: list[EmailMessage]
) -> None:
    ada, ben, stream = wisher(MailWish.EACH), wisher(MailWish.EACH), make_stream()
    evil = News(
        NoticeKind.CHANGED, stream.ref, "Paid\r\nBcc: cy@evil.example\n\nBody", "Fact.", "/streams/"
    )
    tell([ada.pk], evil, by=SYSTEM)
    tell([ben.pk], news(stream), by=SYSTEM)
    assert mails.send_due_mails() == 2
    mail = next(one for one in mailoutbox if one.to == [ada.email])
    assert mail.recipients() == [ada.email]
    said = mail.message()
    assert said["Bcc"] is None
    assert said["Subject"] == "[Event portal] Paid Bcc: cy@evil.example Body"


def test_many_at_once_are_one_mail(mail_on: Settings, mailoutbox: list[EmailMessage]) -> None:
    person, few, stream = wisher(MailWish.EACH), wisher(MailWish.EACH), make_stream()
    for number in range(mails.MANY + 1):
        tell([person.pk], news(stream, number), by=SYSTEM)
    for number in range(2):
        tell([few.pk], news(stream, number), by=SYSTEM)
    assert mails.send_due_mails() == 3
    subjects = {mail.to[0]: mail.subject for mail in mailoutbox}
    assert subjects[person.email] == "[Event portal] 6 things you follow have moved"
    assert [mail.subject for mail in mailoutbox if mail.to == [few.email]] == [
        "[Event portal] News 0", "[Event portal] News 1",
    ]  # fmt: skip


def test_a_day_is_one_mail_in_the_morning(
    mail_on: Settings, mailoutbox: list[EmailMessage]
) -> None:
    person, stream = wisher(MailWish.DAILY), make_stream()
    with clock.at(NOON):
        for number in range(2):
            tell([person.pk], news(stream, number), by=SYSTEM)
        assert mails.send_due_mails() == 0
    with clock.at(NOON.replace(day=26, hour=6, minute=59)):
        assert mails.send_due_mails() == 0
    with clock.at(NOON.replace(day=26, hour=7)):
        assert mails.send_due_mails() == 1
    assert mailoutbox[0].subject == "[Event portal] 2 things you follow have moved"
    assert "Fact 0." in mailoutbox[0].body
    assert "Fact 1." in mailoutbox[0].body


def test_what_was_read_or_is_hidden_by_then_is_not_mailed(
    mail_on: Settings, mailoutbox: list[EmailMessage]
) -> None:
    stream, hidden, person = make_stream(), make_stream(team=make_team()), wisher(MailWish.EACH)
    tell([person.pk], news(stream, 1), by=SYSTEM)
    tell([person.pk], news(hidden, 2), by=SYSTEM)
    notices.mark_all_read(actor=actor_of(person), until=Notice.objects.earliest("pk").created_at)
    Stream.objects.filter(pk=hidden.pk).update(restricted=True)
    assert mails.send_due_mails() == 0
    assert mailoutbox == []
    assert set(Notice.objects.values_list("mail_state", flat=True)) == {MailState.DROPPED}


def test_a_refused_mail_waits_longer_each_time_and_fails_in_the_end(mail_on: Settings) -> None:
    mail_on.EMAIL_BACKEND = "tests.governance.test_notices.Refusing"
    Refusing.tried = 0
    person = wisher(MailWish.EACH)
    moment = NOON
    with clock.at(moment):
        tell([person.pk], news(make_stream()), by=SYSTEM)
    for minutes in (*mails.TRIES, 10_000):
        with clock.at(moment):
            assert mails.send_due_mails() == 0
            assert mails.send_due_mails() == 0, "not before its time"
        moment += timedelta(minutes=minutes)
    notice = Notice.objects.get()
    assert notice.mail_state == MailState.FAILED
    assert Refusing.tried == len(mails.TRIES) + 1 == notice.mail_attempts


def test_a_mail_that_may_have_gone_out_goes_out_again_under_the_same_name(
    mail_on: Settings, mailoutbox: list[EmailMessage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker dies after the server took the mail and before that is written down."""
    person = wisher(MailWish.EACH)
    with clock.at(NOON):
        tell([person.pk], news(make_stream()), by=SYSTEM)
        with monkeypatch.context() as dying:
            dying.setattr(mails, "_settle", _die)
            with pytest.raises(KeyboardInterrupt):
                mails.send_due_mails()
        assert mails.send_due_mails() == 0, "held by its lease"
    with clock.at(NOON + mails.LEASE):
        assert mails.send_due_mails() == 1
    first, second = (mail.extra_headers["Message-ID"] for mail in mailoutbox)
    assert first == second


def _die(*args: object) -> None:
    raise KeyboardInterrupt


def test_a_new_wish_holds_for_what_is_due_already(
    mail_on: Settings, mailoutbox: list[EmailMessage]
) -> None:
    person = wisher(MailWish.DAILY)
    tell([person.pk], news(make_stream()), by=SYSTEM)
    notices.choose_mail(MailWish.EACH, actor=actor_of(person))
    assert mails.send_due_mails() == 1
    tell([person.pk], news(make_stream()), by=SYSTEM)
    notices.choose_mail(MailWish.NONE, actor=actor_of(person))
    assert mails.send_due_mails() == 0
    assert len(mailoutbox) == 1


# --- Pages and REST ---------------------------------------------------------------------------


def test_a_person_reads_their_own_notices_over_the_api_and_nobody_elses() -> None:
    stream, person, other = make_stream(), make_person(), make_person(Role.ADMIN)
    for number in range(3):
        tell([person.pk], news(stream, number), by=SYSTEM)
    mine, theirs = (
        Client(headers={"Authorization": f"Bearer {token_of(who)}"}) for who in (person, other)
    )
    rows = mine.get("/api/v1/notifications?unread=true").json()["items"]
    assert [row["title"] for row in rows] == ["News 2", "News 1", "News 0"]
    assert rows[0]["subject"] == {"kind": "stream", "key": stream.name}
    address = f"/api/v1/notifications/{rows[0]['id']}/read"
    refused = theirs.post(address, {}, content_type="application/json")
    assert refused.status_code == 404
    assert theirs.get("/api/v1/notifications").json()["items"] == []
    assert mine.post(address, {}, content_type="application/json").json()["read_at"]
    assert len(mine.get("/api/v1/notifications?unread=true").json()["items"]) == 2
    assert len(mine.get("/api/v1/notifications?unread=false").json()["items"]) == 1
    until = rows[2]["created_at"]
    done = mine.post(
        "/api/v1/notifications/read", {"until": until}, content_type="application/json"
    )
    assert done.json() == {"read": 1}


def test_the_page_shows_unread_ones_marks_them_and_the_bell_counts() -> None:
    stream, person = make_stream(), make_person()
    for number in range(2):
        tell([person.pk], news(stream, number), by=SYSTEM)
    client = Client()
    client.force_login(person)
    page = client.get("/notifications/").content.decode()
    assert "Two things are new." in page
    assert 'aria-label="Notifications, 2 unread"' in page
    newest = Notice.objects.latest("created_at")
    opened = client.post(f"/notifications/{newest.pk}/open/", {"go": "1"})
    assert (opened.status_code, opened["Location"]) == (302, newest.url)
    assert 'aria-label="Notifications, 1 unread"' in client.get("/").content.decode()
    client.post("/notifications/read/", {})
    assert "You have read everything." in client.get("/notifications/").content.decode()
    assert "News 0" in client.get("/notifications/?show=all").content.decode()
    stranger = Client()
    stranger.force_login(make_person())
    assert stranger.post(f"/notifications/{newest.pk}/open/").status_code == 404


def test_the_cost_of_the_bell_does_not_grow_with_notices(
    django_assert_max_num_queries: Any,
) -> None:
    stream, person = make_stream(), make_person()
    for number in range(150):
        tell([person.pk], news(stream, number), by=SYSTEM)
    actor = actor_of(person)
    with django_assert_max_num_queries(2):
        assert unread_count(actor) == 100
