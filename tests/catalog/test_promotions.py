"""Moving a stream between the tracks: what it asks for, who decides, what is told and recorded."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from catalog.errors import NotReadyError
from catalog.models import Promotion, Stream
from catalog.selectors.promotions import checks_of, open_promotion, waiting_for
from catalog.services.consumers import create_consumer, map_consumer
from catalog.services.promotion_escalation import escalate_moves
from catalog.services.promotions import (
    approve_move,
    ask_to_move,
    reject_move,
    withdraw_move,
)
from catalog.services.streams import change_stream, follow
from catalog.services.tracks import promote_stream
from catalog.types import Track
from governance.errors import NotOwnRequestError, RequestOpenError
from governance.models import AuditEntry, Notice, Policy, Team, User
from governance.selectors.people import actor_of
from governance.services.delegations import delegate
from governance.services.policies import create_policy
from governance.services.waivers import waive
from governance.types import NoticeKind, Permission, Role
from portal.kernel import clock
from portal.kernel.actor import SYSTEM, Actor
from portal.kernel.errors import (
    InvalidError,
    InvalidStateError,
    NotPermittedError,
    PortalError,
)
from tests.catalog.test_changes_api import Caller
from tests.support.factories import make_actor, make_grant, make_person, make_stream, make_team

pytestmark = pytest.mark.django_db
PRODUCTION, EXPERIMENTAL = Track.PRODUCTION, Track.EXPERIMENTAL
PATH = "/streams/shop.order_paid/promote"


@pytest.fixture
def team() -> Team:
    return make_team()


@pytest.fixture
def stream(team: Team) -> Stream:
    return make_stream("shop.order_paid", team=team)


@pytest.fixture
def ada(team: Team) -> User:
    return make_person(Role.ENGINEER, team=team)


@pytest.fixture
def ben(team: Team) -> User:
    return make_person(Role.ENGINEER, team=team)


def stopped(stream: Stream, to: Track = PRODUCTION) -> list[str]:
    return sorted(check.key for check in checks_of(stream, to) if check.stops)


def actions(stream: Stream) -> list[str]:
    rows = AuditEntry.objects.filter(object_kind="stream", object_key=stream.name)
    return list(rows.order_by("seq").values_list("action", flat=True))


def test_a_stream_is_asked_for_and_moved_with_the_approval_of_another(
    stream: Stream, ada: User, ben: User
) -> None:
    asked = ask_to_move(stream, PRODUCTION, actor=actor_of(ada), reason="It is stable.")
    stream.refresh_from_db()
    assert (asked.state, asked.needed_approvals, stream.track) == ("open", 1, "experimental")
    assert list(waiting_for(actor_of(ben))) == [asked]
    assert not waiting_for(actor_of(ada)).exists()
    with pytest.raises(NotOwnRequestError):
        approve_move(asked, actor=actor_of(ada))
    before = clock.now()
    done = approve_move(asked, actor=actor_of(ben), comment="Fine.")
    stream.refresh_from_db()
    assert (done.state, stream.track) == ("done", "production")
    assert done.moves_at == stream.production_since == stream.track_moments[-1]
    assert done.moves_at is not None
    assert done.moves_at > before + timedelta(seconds=stream.ahead_seconds)
    assert (stream.retention_days, stream.compatibility_mode) == (400, "BACKWARD_TRANSITIVE")
    assert actions(stream)[-3:] == ["stream.move_asked", "stream.move_approved", "stream.promoted"]
    moved = AuditEntry.objects.filter(action="stream.promoted").latest("seq")
    assert moved.detail["after"]["moves_at"] == done.moves_at.isoformat()
    assert not waiting_for(actor_of(ben)).exists()


def test_back_goes_the_same_way_and_lets_nothing_go_sooner(
    stream: Stream, ada: User, ben: User
) -> None:
    promote_stream(stream, actor=SYSTEM)
    there = stream.track_moments[-1]
    asked = ask_to_move(stream, EXPERIMENTAL, actor=actor_of(ada), reason="It is not stable.")
    approve_move(asked, actor=actor_of(ben))
    stream.refresh_from_db()
    assert (stream.track, stream.production_since, stream.retention_days) == (
        "experimental", None, 400,
    )  # fmt: skip
    assert stream.track_moments[0] == there < stream.track_moments[1]
    assert actions(stream)[-1] == "stream.demoted"


def test_a_t1_stream_needs_two_others(team: Team, ada: User, ben: User) -> None:
    stream = make_stream(team=team, tier="T1")
    cara = make_person(Role.ENGINEER, team=team)
    asked = ask_to_move(stream, PRODUCTION, actor=actor_of(ada))
    assert approve_move(asked, actor=actor_of(ben)).state == "open"
    with pytest.raises(InvalidStateError, match="already"):
        approve_move(asked, actor=actor_of(ben))
    stream.refresh_from_db()
    assert stream.track == "experimental"
    assert approve_move(asked, actor=actor_of(cara)).state == "done"


def test_what_production_asks_for_stops_it_until_it_holds(team: Team) -> None:
    team_less = make_stream("shop.order_lost", description="")
    change_stream(team_less, {"enforcement": "observe", "retention_days": 500}, actor=SYSTEM)
    assert stopped(team_less) == [
        "described", "enforced", "owner-present", "retention-within-limits",
    ]  # fmt: skip
    admin = make_actor(Role.ADMIN)
    with pytest.raises(NotReadyError) as caught:
        ask_to_move(team_less, PRODUCTION, actor=admin)
    assert {fault.code for fault in caught.value.errors} == {
        f"check:{key}" for key in stopped(team_less)
    }
    assert stopped(team_less, EXPERIMENTAL) == []
    change_stream(
        team_less,
        {"enforcement": "enforce", "retention_days": 90, "description": "A lost order.",
         "owner_team": team},
        actor=SYSTEM,
    )  # fmt: skip
    assert stopped(team_less) == []
    Stream.objects.filter(pk=team_less.pk).update(lifecycle="deprecated", default_version=None)
    assert stopped(team_less) == ["contract", "live"]


def test_personal_fields_need_a_plan_or_a_waiver(team: Team) -> None:
    bare = {
        "type": "object",
        "properties": {"email": {"type": "string", "x-classification": "personal"}},
    }
    stream = make_stream("shop.order_left", team=team, schema=bare)
    assert stopped(stream) == ["personal-fields-planned"]
    policy = Policy.objects.get(slug="personal-fields-planned")
    until = clock.now() + timedelta(days=9)
    waive(policy, stream.name, actor=SYSTEM, reason="Planned for Monday.", until=until)
    assert stopped(stream) == []
    said = {check.key: check for check in checks_of(stream, PRODUCTION)}
    assert said["personal-fields-planned"].detail == f"waived until {until:%Y-%m-%d}"


def test_a_policy_that_blocks_is_judged_as_the_stream_would_be_there(
    stream: Stream, ada: User, ben: User
) -> None:
    asked = ask_to_move(stream, PRODUCTION, actor=actor_of(ada))
    create_policy(
        "production-titled", actor=SYSTEM, title="Production streams have a title",
        sentence="Who reads production data reads a name.", subject="stream", severity="block",
        expression='stream.track != "production" || stream.title != ""',
    )  # fmt: skip
    assert stopped(stream) == ["production-titled"]
    with pytest.raises(NotReadyError, match="have a title"):
        approve_move(asked, actor=actor_of(ben))
    asked.refresh_from_db()
    assert (asked.state, asked.approvals.count()) == ("open", 0), "nothing of it is kept"
    change_stream(stream, {"title": "Orders"}, actor=SYSTEM)
    assert approve_move(asked, actor=actor_of(ben)).state == "done"


def test_one_request_is_open_and_a_closed_one_is_not_decided_again(
    stream: Stream, ada: User, ben: User
) -> None:
    first = ask_to_move(stream, PRODUCTION, actor=actor_of(ada))
    with pytest.raises(RequestOpenError):
        ask_to_move(stream, PRODUCTION, actor=actor_of(ben))
    with pytest.raises(InvalidStateError, match="experimental track already"):
        ask_to_move(stream, EXPERIMENTAL, actor=actor_of(ben))
    with pytest.raises(InvalidError, match="Say why"):
        reject_move(first, actor=actor_of(ben), reason=" ")
    reject_move(first, actor=actor_of(ben), reason="Not yet.")
    for step in (approve_move, withdraw_move):
        with pytest.raises(InvalidStateError, match="no longer open"):
            step(first, actor=actor_of(ben))
    second = ask_to_move(stream, PRODUCTION, actor=actor_of(ada))
    with pytest.raises(NotOwnRequestError):
        withdraw_move(second, actor=actor_of(ben))
    assert withdraw_move(second, actor=actor_of(ada)).state == "withdrawn"
    assert open_promotion(stream) is None
    assert actions(stream)[-3:] == [
        "stream.move_rejected", "stream.move_asked", "stream.move_withdrawn",
    ]  # fmt: skip


def test_a_deputy_of_who_asked_does_not_approve(stream: Stream, ada: User, ben: User) -> None:
    asked = ask_to_move(stream, PRODUCTION, actor=actor_of(ada))
    now = clock.now()
    delegate(
        actor=actor_of(ada), deputy=ben, since=now - timedelta(hours=1),
        until=now + timedelta(days=1), note="Away.",
    )  # fmt: skip
    with pytest.raises(NotOwnRequestError, match="decide for who asked"):
        approve_move(asked, actor=actor_of(ben))


def test_strangers_and_the_portal_decide_nothing(stream: Stream, ada: User) -> None:
    stranger = make_actor(Role.ENGINEER, team=make_team())
    with pytest.raises(NotPermittedError):
        ask_to_move(stream, PRODUCTION, actor=stranger)
    asked = ask_to_move(stream, PRODUCTION, actor=actor_of(ada))
    decide: Any
    for decide in (approve_move, lambda one, actor: reject_move(one, actor=actor, reason="No.")):
        for actor in (stranger, SYSTEM):
            with pytest.raises(NotPermittedError):
                decide(asked, actor=actor)
    with pytest.raises(NotPermittedError, match="others approve"):
        promote_stream(stream, actor=actor_of(ada))


def test_a_request_that_nobody_answers_goes_to_the_admins_once(
    stream: Stream, team: Team, ada: User, ben: User
) -> None:
    admin = make_person(Role.ADMIN)
    asked = ask_to_move(stream, PRODUCTION, actor=actor_of(ada), reason="It is stable.")
    ask_to_move(make_stream(team=team), PRODUCTION, actor=actor_of(ada))
    Promotion.objects.filter(pk=asked.pk).update(opened_at=clock.now() - timedelta(days=4))
    Notice.objects.all().delete()
    assert (escalate_moves(), escalate_moves()) == (1, 0)
    told = dict(Notice.objects.values_list("user_id", "kind"))
    assert told == {admin.pk: NoticeKind.VOTE_WANTED, ada.pk: NoticeKind.PROPOSED}
    assert actions(stream)[-1] == "stream.move_escalated"
    browser = Client()
    browser.force_login(admin)
    page = browser.get(f"{PATH}/").content.decode()
    assert "Nobody answered: admins were asked" in page
    assert browser.get(f"{PATH}/").status_code == 200
    assert approve_move(asked, actor=actor_of(ben)).state == "done", "who decides stays who may"
    assert escalate_moves() == 0


def test_deciders_followers_and_who_asked_are_told(stream: Stream, ada: User, ben: User) -> None:
    cy, approver = make_person(), make_person()
    follow(stream, actor=actor_of(cy))
    make_grant(stream, approver, Permission.APPROVE)
    Notice.objects.all().delete()
    asked = ask_to_move(stream, PRODUCTION, actor=actor_of(ada))
    told = dict(Notice.objects.values_list("user", "kind"))
    assert told == {
        ben.pk: NoticeKind.VOTE_WANTED, approver.pk: NoticeKind.VOTE_WANTED,
        cy.pk: NoticeKind.PROPOSED,
    }  # fmt: skip
    assert set(Notice.objects.values_list("url", flat=True)) == {f"{PATH}/"}
    Notice.objects.all().delete()
    approve_move(asked, actor=actor_of(approver))
    kinds = set(Notice.objects.values_list("user", "kind"))
    assert kinds >= {(cy.pk, NoticeKind.CHANGED), (ada.pk, NoticeKind.DECIDED)}


def test_the_api_tells_what_is_asked_for_and_moves(stream: Stream, team: Team) -> None:
    ada, ben = (Caller(Role.ENGINEER, team=team) for _ in range(2))
    seen = ada.get(PATH)
    assert (seen["track"], seen["to"], seen["ready"], seen["open"]) == (
        "experimental", "production", True, None,
    )  # fmt: skip
    assert {check["state"] for check in seen["checks"]} <= {"ok", "info", "warn"}
    asked = ada.post(PATH, {"reason": "It is stable."}, 201)
    assert (asked["state"], asked["to"], asked["approvals"]) == ("open", "production", [])
    assert ada.post(PATH, {}, 409)["code"] == "request_open"
    body = {"request": asked["id"]}
    assert ada.post(f"{PATH}/approve", body, 403)["code"] == "own_request"
    assert ada.post(f"{PATH}/approve", {"request": "me"}, 422)["errors"][0]["pointer"] == "/request"
    done = ben.post(f"{PATH}/approve", body)
    assert (done["state"], len(done["approvals"])) == ("done", 1)
    assert ben.post(f"{PATH}/approve", body, 409)["code"] == "invalid_state"
    after = ada.get(PATH)
    assert (after["track"], after["to"], after["moments"]) == (
        "production", "experimental", [done["moves_at"]],
    )  # fmt: skip
    assert [row["id"] for row in after["earlier"]] == [asked["id"]]
    again = ada.post(PATH, {"to": "experimental"}, 201)
    ben.post(f"{PATH}/reject", {"request": again["id"], "reason": "It stays."})
    third = ada.post(PATH, {}, 201)
    assert ada.post(f"{PATH}/withdraw", {"request": third["id"]})["state"] == "withdrawn"


def test_an_outsider_is_refused_and_learns_nothing_of_a_restricted_stream(
    stream: Stream, ada: User
) -> None:
    asked = ask_to_move(stream, PRODUCTION, actor=actor_of(ada))
    body = {"request": str(asked.pk)}
    outsider = Caller(Role.ENGINEER, team=make_team())
    steps = {"": {}, "/approve": body, "/reject": {**body, "reason": "No."}, "/withdraw": body}
    for step, said in steps.items():
        outsider.post(f"{PATH}{step}", said, 403)
    change_stream(stream, {"restricted": True}, actor=SYSTEM)
    for step, said in steps.items():
        outsider.post(f"{PATH}{step}", said, 404)
    outsider.get(PATH, 404)
    browser = Client()
    browser.force_login(make_person(Role.ENGINEER))
    assert browser.get(f"{PATH}/").status_code == 404
    assert browser.post(f"{PATH}/decide/", body).status_code == 404
    other = make_stream("shop.order_sent", team=make_team())
    helper = Caller(Role.ADMIN)
    helper.post(f"/streams/{other.name}/promote/approve", body, 404)
    asked.refresh_from_db()
    assert asked.state == "open"


def test_the_page_asks_approves_and_says_what_stops_it(
    stream: Stream, ada: User, ben: User
) -> None:
    owner, other = Client(), Client()
    owner.force_login(ada)
    other.force_login(ben)
    assert "Ask to move it to production" in owner.get(f"{PATH}/").content.decode()
    change_stream(stream, {"enforcement": "warn"}, actor=SYSTEM)
    page = owner.get(f"{PATH}/").content.decode()
    assert "1\N{NO-BREAK SPACE}thing does not hold yet" in page
    assert "Ask to move it to production" not in page
    assert owner.post(f"{PATH}/", {"do": "ask"}).status_code == 409
    change_stream(stream, {"enforcement": "enforce"}, actor=SYSTEM)
    assert owner.post(f"{PATH}/", {"do": "ask", "reason": "Stable."}).status_code == 302
    asked = Promotion.objects.get(state="open")
    assert "Take your request back" in owner.get(f"{PATH}/").content.decode()
    form = {"request": str(asked.pk)}
    assert owner.post(f"{PATH}/decide/", {**form, "do": "approve"}).status_code == 403
    silent = other.post(f"{PATH}/decide/", {**form, "do": "reject", "text": ""})
    assert silent.status_code == 422
    assert "move-text-err" in silent.content.decode()
    assert other.post(f"{PATH}/decide/", {**form, "do": "approve"}).status_code == 302
    page = owner.get(f"{PATH}/").content.decode()
    assert "It moves at" in page
    assert "Ask to move it back" in page
    assert other.post(f"{PATH}/decide/", {"request": "gone", "do": "approve"}).status_code == 409


def test_readers_are_named_before_a_stream_goes_back(stream: Stream) -> None:
    billing = create_consumer("billing", actor=SYSTEM)
    map_consumer(billing, stream, actor=SYSTEM)
    promote_stream(stream, actor=SYSTEM)
    said = {check.key: check.state for check in checks_of(stream, EXPERIMENTAL)}
    assert said["unread"] == "warn"


@pytest.mark.django_db(transaction=True)
def test_of_approvals_at_once_one_moves_the_stream() -> None:
    team = make_team()
    stream = make_stream("shop.order_paid", team=team)
    ada = make_actor(Role.ENGINEER, team=team)
    others = [make_actor(Role.ENGINEER, team=team) for _ in range(4)]
    asked = ask_to_move(stream, PRODUCTION, actor=ada)

    def approve(actor: Actor) -> str:
        try:
            return str(approve_move(asked, actor=actor).state)
        except PortalError as error:
            return error.code
        finally:
            connection.close()

    with ThreadPoolExecutor() as threads:
        found = sorted(threads.map(approve, others))
    assert found == ["done", *["invalid_state"] * 3]
    stream.refresh_from_db()
    assert len(stream.track_moments) == 1
    assert actions(stream).count("stream.promoted") == 1
