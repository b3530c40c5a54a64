"""Break-glass access: taken in an emergency, told loudly, over by itself, reviewed by somebody else."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core import mail
from django.db.models.functions import Now
from django.test import Client
from pytest_django import Settings

from governance import access
from governance.errors import RoleNeededError
from governance.models import AuditEntry, BreakGlass, Notice, User
from governance.selectors.break_glass import own_live, visible_glasses, waiting_for
from governance.selectors.people import actor_of
from governance.selectors.requests import live_grants
from governance.services import mails
from governance.services.break_glass import TERM, break_glass, give_back, review_glass
from governance.services.grants import grant_access
from governance.services.notices import choose_mail
from governance.types import BreakGlassVerdict, MailWish, Permission, Role
from portal.kernel import clock
from portal.kernel.actor import SYSTEM
from portal.kernel.errors import (
    InvalidError,
    InvalidStateError,
    NotFoundError,
    NotPermittedError,
)
from tests.support.factories import make_actor, make_person, make_stream, make_team, token_of
from tests.support.signing_in import sign_in, with_password

pytestmark = pytest.mark.django_db
REASON = "Payments fail for one customer; I need to see their events."
RIGHT, WRONG = BreakGlassVerdict.CONFIRMED, BreakGlassVerdict.OBJECTED
JSON = "application/json"


@pytest.fixture
def mail_on(settings: Settings) -> None:
    settings.MAIL_FROM = "portal@test.example"


def expire(taken: BreakGlass) -> None:
    """Let its hour have passed, as the database's clock sees it."""
    over = Now() - timedelta(seconds=1)
    grants = access.protected_kinds()["stream"].user_grants._default_manager
    assert grants.filter(valid_until=taken.ends_at).update(valid_until=over) == 1
    BreakGlass.objects.filter(pk=taken.pk).update(ends_at=over)


def test_on_call_reads_in_clear_for_an_hour_of_the_databases_clock() -> None:
    stream, noor = make_stream(team=make_team()), make_actor(Role.ON_CALL)
    assert not access.may(noor, Permission.READ_PAYLOAD, stream)
    taken = break_glass(stream.ref, actor=noor, reason=REASON)
    assert access.may(noor, Permission.READ_PERSONAL, stream)
    assert access.may(noor, Permission.READ_PAYLOAD, stream)
    assert taken.ends_at - taken.taken_at == TERM == timedelta(minutes=60)
    (grant,) = live_grants(noor, mine=True)
    assert (grant.permission, grant.valid_until) == ("read_personal", taken.ends_at)
    assert grant.purpose.endswith(REASON)


def test_it_ends_by_itself_whatever_clock_the_web_process_has() -> None:
    stream, noor = make_stream(team=make_team()), make_actor(Role.ON_CALL)
    taken = break_glass(stream.ref, actor=noor, reason=REASON)
    with time_machine.travel(clock.now() + timedelta(hours=5)):
        assert access.may(noor, Permission.READ_PERSONAL, stream)
    expire(taken)
    assert not access.may(noor, Permission.READ_PERSONAL, stream)
    assert not own_live(noor.id).exists()
    with time_machine.travel(clock.now() - timedelta(hours=5)):
        assert not access.may(noor, Permission.READ_PERSONAL, stream)


def test_a_clock_of_the_web_process_that_is_wrong_lengthens_nothing() -> None:
    stream, noor = make_stream(team=make_team()), make_actor(Role.ON_CALL)
    with time_machine.travel(clock.now() + timedelta(days=30)):
        taken = break_glass(stream.ref, actor=noor, reason=REASON)
    assert taken.ends_at < clock.now() + timedelta(minutes=61)


def test_others_may_not_and_who_may_not_know_of_it_learns_nothing() -> None:
    stream = make_stream(team=make_team())
    hidden = make_stream(team=make_team(), extra={"restricted": True})
    for role in (Role.ENGINEER, Role.ANALYST, Role.PRODUCT_MANAGER):
        with pytest.raises(RoleNeededError):
            break_glass(stream.ref, actor=make_actor(role), reason=REASON)
        with pytest.raises(NotFoundError):
            break_glass(hidden.ref, actor=make_actor(role), reason=REASON)
    assert not BreakGlass.objects.exists()


def test_a_reason_is_needed_and_who_may_read_already_breaks_nothing() -> None:
    stream, noor = make_stream(team=make_team()), make_actor(Role.ON_CALL)
    for reason in ("", "because", "x" * 1001):
        with pytest.raises(InvalidError) as caught:
            break_glass(stream.ref, actor=noor, reason=reason)
        assert caught.value.errors[0].pointer == "/reason"
    break_glass(stream.ref, actor=noor, reason=REASON)
    with pytest.raises(InvalidStateError):
        break_glass(stream.ref, actor=noor, reason=REASON)
    assert BreakGlass.objects.count() == 1


@pytest.mark.usefixtures("mail_on")
def test_owners_and_all_admins_are_told_and_mailed_at_once_whatever_they_wish() -> None:
    team = make_team()
    stream = make_stream(team=team)
    ada, ben = make_person(Role.ENGINEER, team=team), make_person(team=team)
    dot, cy = make_person(Role.ADMIN), make_person(Role.ANALYST)
    choose_mail(MailWish.NONE, actor=actor_of(ada))
    choose_mail(MailWish.DAILY, actor=actor_of(dot))
    noor = make_actor(Role.ON_CALL)
    break_glass(stream.ref, actor=noor, reason=REASON)
    choose_mail(MailWish.NONE, actor=actor_of(ben))
    told = Notice.objects.filter(kind="break_glass")
    assert set(told.values_list("user_id", flat=True)) == {ada.pk, ben.pk, dot.pk}
    assert cy.pk not in told.values_list("user_id", flat=True)
    mails.send_due_mails()
    assert {address for one in mail.outbox for address in one.to} == {
        ada.email, ben.email, dot.email,
    }  # fmt: skip
    assert all(noor.label in one.body and REASON in one.body for one in mail.outbox)
    entry = AuditEntry.objects.get(action="access.break_glass")
    assert (entry.actor, entry.object_key) == (noor.label, stream.name)
    assert entry.detail["after"]["reason"] == REASON


def test_the_owner_confirms_or_objects_once_with_a_sentence_and_the_taker_reads_it() -> None:
    team = make_team()
    stream, noor = make_stream(team=team), make_actor(Role.ON_CALL)
    ada = make_actor(Role.ENGINEER, team=team)
    taken = break_glass(stream.ref, actor=noor, reason=REASON)
    assert list(waiting_for(ada)) == [taken]
    with pytest.raises(InvalidError):
        review_glass(taken.pk, actor=ada, verdict=RIGHT, sentence="ok")
    review_glass(taken.pk, actor=ada, verdict=RIGHT, sentence="It helped the customer.")
    with pytest.raises(InvalidStateError):
        review_glass(taken.pk, actor=ada, verdict=WRONG, sentence="On second thought, no.")
    assert not waiting_for(ada).exists()
    assert access.may(noor, Permission.READ_PERSONAL, stream)
    notice = Notice.objects.get(user_id=noor.id)
    assert "confirmed" in notice.title
    assert AuditEntry.objects.filter(action="access.break_glass_reviewed").count() == 1


def test_an_objection_ends_what_still_holds() -> None:
    team = make_team()
    stream, noor = make_stream(team=team), make_actor(Role.ON_CALL)
    taken = break_glass(stream.ref, actor=noor, reason=REASON)
    review_glass(
        taken.pk, actor=make_actor(team=team), verdict=WRONG, sentence="Ask us; we are here."
    )
    assert not access.may(noor, Permission.READ_PERSONAL, stream)
    assert not own_live(noor.id).exists()


def test_nobody_reviews_their_own_and_outsiders_know_nothing_of_it() -> None:
    stream, dot = make_stream(team=make_team()), make_actor(Role.ADMIN)
    taken = break_glass(stream.ref, actor=dot, reason=REASON)
    with pytest.raises(NotPermittedError):
        review_glass(taken.pk, actor=dot, verdict=RIGHT, sentence="I was right, surely.")
    outsider = make_actor(Role.ENGINEER, team=make_team())
    assert not visible_glasses(outsider).exists()
    for act in (give_back, review_glass):
        fields: dict[str, Any] = (
            {"verdict": RIGHT, "sentence": "None of mine."} if act is review_glass else {}
        )
        with pytest.raises(NotFoundError):
            act(taken.pk, actor=outsider, **fields)
    other_admin = make_actor(Role.ADMIN)
    review_glass(taken.pk, actor=other_admin, verdict=RIGHT, sentence="There was a fire.")


def test_given_back_early_it_ends_at_once_and_a_grant_given_meanwhile_stays() -> None:
    stream, noor = make_stream(team=make_team()), make_person(Role.ON_CALL)
    taken = break_glass(stream.ref, actor=actor_of(noor), reason=REASON)
    give_back(taken.pk, actor=actor_of(noor))
    assert not access.may(actor_of(noor), Permission.READ_PERSONAL, stream)
    with pytest.raises(InvalidStateError):
        give_back(taken.pk, actor=actor_of(noor))
    second = break_glass(stream.ref, actor=actor_of(noor), reason=REASON)
    grant_access(
        stream.ref, actor=SYSTEM, permission=Permission.READ_PERSONAL, holder=noor,
        purpose="For the rest of the week.", until=clock.now() + timedelta(days=5),
    )  # fmt: skip
    give_back(second.pk, actor=actor_of(noor))
    assert access.may(actor_of(noor), Permission.READ_PERSONAL, stream)


# --- Pages and the API ------------------------------------------------------------------------


def take(client: Client, stream: str) -> Any:
    return client.post("/access/break-glass/", {"stream": stream, "reason": REASON})


def test_a_bar_stands_on_every_page_while_it_holds_and_nowhere_else() -> None:
    stream, noor = make_stream(team=make_team()), with_password(Role.ON_CALL)
    desk = sign_in(noor)
    assert take(desk, stream.name).status_code == 302
    for path in ("/", "/streams/", "/settings/", f"/streams/{stream.name}/"):
        page = desk.get(path).content.decode()
        assert 'id="glass-bar"' in page, path
    other = sign_in(with_password(Role.ON_CALL))
    assert 'id="glass-bar"' not in other.get("/").content.decode()
    desk.post(f"/access/break-glass/{BreakGlass.objects.get().pk}/end/")
    assert 'id="glass-bar"' not in desk.get("/").content.decode()


def test_taking_it_asks_again_who_it_is() -> None:
    stream, noor = make_stream(team=make_team()), with_password(Role.ON_CALL)
    desk = sign_in(noor)
    with time_machine.travel(clock.now() + timedelta(minutes=16), tick=True):
        assert take(desk, stream.name)["Location"].startswith("/accounts/reauthenticate/")
        refused = desk.post("/api/v1/break-glass", {"stream": stream.name, "reason": REASON}, JSON)
        assert (refused.status_code, refused.json()["code"]) == (403, "confirm")
    assert not BreakGlass.objects.exists()


def test_the_page_shows_the_form_to_who_may_and_faults_at_the_field() -> None:
    noor, cy = with_password(Role.ON_CALL), with_password(Role.ANALYST)
    desk, laptop = sign_in(noor), sign_in(cy)
    assert "Why it cannot wait" in desk.get("/access/break-glass/?stream=a.b").content.decode()
    assert "Why it cannot wait" not in laptop.get("/access/break-glass/").content.decode()
    answer = take(desk, "shop.not_there")
    assert answer.status_code == 422
    assert "There is no stream of this name" in answer.content.decode()
    stream = make_stream(team=make_team())
    assert take(laptop, stream.name).status_code == 422
    assert not BreakGlass.objects.exists()


def test_what_nobody_reviewed_is_listed_for_the_owner_on_access_and_its_own_page() -> None:
    team = make_team()
    stream = make_stream(team=team)
    ada = with_password(Role.ENGINEER, team=team)
    taken = break_glass(stream.ref, actor=make_actor(Role.ON_CALL), reason=REASON)
    expire(taken)
    laptop = sign_in(ada)
    assert "waits for your review" in laptop.get("/access/").content.decode()
    page = laptop.get("/access/break-glass/").content.decode()
    assert REASON in page
    laptop.post(
        f"/access/break-glass/{taken.pk}/review/",
        {"verdict": "objected", "sentence": "Nobody called us at all."},
    )
    assert "waits for your review" not in laptop.get("/access/").content.decode()
    assert "Nobody called us at all." in laptop.get("/access/break-glass/").content.decode()


def test_the_api_takes_lists_reviews_and_gives_back() -> None:
    team = make_team()
    stream, noor = make_stream(team=team), make_person(Role.ON_CALL)
    owner = make_person(Role.ENGINEER, team=team)

    def bearer(person: User) -> Client:
        return Client(headers={"Authorization": f"Bearer {token_of(person)}"})

    taker, reviewer, stranger = bearer(noor), bearer(owner), bearer(make_person())
    made = taker.post("/api/v1/break-glass", {"stream": stream.name, "reason": REASON}, JSON)
    assert made.status_code == 201, made.content
    address = made["Location"]
    assert made.json()["verdict"] is None
    assert stranger.get(address).status_code == 404
    assert stranger.get("/api/v1/break-glass").json()["items"] == []
    waiting = reviewer.get("/api/v1/break-glass?waiting=true").json()["items"]
    assert [one["person"] for one in waiting] == [noor.email]
    own = taker.post(f"{address}/review", {"verdict": "confirmed", "sentence": "Mine, fine."}, JSON)
    assert (own.status_code, own.json()["code"]) == (403, "own_request")
    said = reviewer.post(
        f"{address}/review", {"verdict": "confirmed", "sentence": "It was an emergency."}, JSON
    )
    assert said.json()["reviewed_by"] == owner.email
    ended = taker.post(f"{address}/end", {}, JSON)
    assert ended.json()["ended_at"] is not None
