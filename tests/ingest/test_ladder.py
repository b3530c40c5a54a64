"""The ladder of enforcement: when a step is due, that it is taken once, and moves by hand."""

import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from catalog.models import EnforcementRule, Producer, Stream
from catalog.services.enforcement import (
    advance_enforcement,
    move_enforcement,
    next_rung,
    rule_of,
    set_rule,
)
from catalog.services.streams import change_stream
from catalog.types import Enforcement
from governance.models import AuditEntry, Team
from governance.types import Role
from ingest.judging.ladder import Day, Terms, standing
from ingest.models import IngestMinute
from ingest.selectors.enforcement import ladder_of, moves_of
from ingest.services.ladder import advance_due_streams
from portal.kernel import clock
from portal.kernel.actor import SYSTEM
from portal.kernel.errors import (
    InvalidError,
    InvalidStateError,
    NotPermittedError,
    PreconditionFailedError,
)
from tests.support.factories import make_actor, make_person, make_stream, make_team, token_of

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
TODAY = NOW.date()
TERMS = Terms(bound=0.01, days=3, least=100)
LONG_AGO = NOW - timedelta(days=60)


def days_back(*days: Day) -> dict[date, Day]:
    """Days that end with yesterday, oldest first."""
    return {TODAY - timedelta(days=len(days) - at): day for at, day in enumerate(days)}


GOOD, BAD, FEW = Day(1_000, 9), Day(1_000, 10), Day(99, 0)


@pytest.mark.parametrize(
    ("days", "good", "due", "on"),
    [
        ((GOOD, GOOD, GOOD), 3, True, 0),
        ((BAD, GOOD, GOOD), 2, False, 1),
        ((GOOD, BAD, GOOD), 1, False, 2),
        ((GOOD, GOOD, BAD), 0, False, 3),
        ((FEW, GOOD, GOOD), 2, False, 1),
        ((GOOD, GOOD, FEW), 0, False, None),
        ((GOOD, GOOD), 2, False, 1),
        ((), 0, False, None),
        ((Day(100, 0), Day(100, 0), Day(100, 0)), 3, True, 0),
        ((Day(100, 1), Day(100, 1), Day(100, 1)), 0, False, 3),
    ],
    ids=str,
)
def test_a_step_is_due_after_days_without_a_gap_that_were_good(
    days: tuple[Day, ...], good: int, due: bool, on: int | None
) -> None:
    found = standing(days_back(*days), TERMS, since=LONG_AGO, now=NOW)
    assert (found.good_days, found.is_due) == (good, due)
    assert found.advances_on == (None if on is None else TODAY + timedelta(days=on))


def test_only_whole_days_on_the_rung_count() -> None:
    days = days_back(GOOD, GOOD, GOOD)
    noon = datetime(2026, 11, 17, 12, tzinfo=UTC)
    found = standing(days, TERMS, since=noon, now=NOW)
    assert ([state for _, _, state in found.days], found.is_due) == (
        ["before", "good", "good", "running"], False,
    )  # fmt: skip
    assert found.advances_on == TODAY + timedelta(days=1)
    midnight = datetime(2026, 11, 17, tzinfo=UTC)
    assert standing(days, TERMS, since=midnight, now=NOW).is_due
    fresh = standing({}, TERMS, since=NOW, now=NOW)
    assert fresh.advances_on == TODAY + timedelta(days=4), "tomorrow is the first of three"


def test_a_bad_morning_moves_the_day_and_shows_in_the_share() -> None:
    days = days_back(GOOD, GOOD) | {TODAY: Day(10, 5)}
    found = standing(days, TERMS, since=LONG_AGO, now=NOW)
    assert found.advances_on == TODAY + timedelta(days=4)
    assert found.share == pytest.approx((9 + 9 + 5) / 2_010)


@given(
    st.lists(st.builds(Day, st.integers(0, 300), st.integers(0, 30)), max_size=9),
    st.integers(1, 5),
    st.integers(0, 9),
)
def test_it_is_never_due_with_a_day_of_too_few_events_or_too_many_breaches(
    days: list[Day], wanted: int, since_days: int
) -> None:
    terms = Terms(bound=0.05, days=wanted, least=50)
    since = NOW - timedelta(days=since_days)
    found = standing(days_back(*days), terms, since=since, now=NOW)
    if not found.is_due:
        return
    counted = [day for on, day, _ in found.days if on < TODAY]
    assert len(counted) == wanted
    assert since.date() < TODAY - timedelta(days=wanted)
    for day in counted:
        assert day.judged >= 50
        assert day.violations == 0 or day.violations / day.judged < 0.05


# --- in the database ---


@pytest.fixture
def team() -> Team:
    return make_team()


def on_rung(rung: str, team: Team | None = None, since: datetime = LONG_AGO) -> Stream:
    stream = make_stream(team=team, extra={"enforcement": rung})
    EnforcementRule.objects.create(
        stream=stream, violation_bound=0.01, days=3, least_events=100, rung_since=since
    )
    return stream


def account(
    stream: Stream, days_ago: int, accepted: int, *, violations: int = 0, invalid: int = 0,
    producer: int = 10**9,
) -> None:  # fmt: skip
    IngestMinute.objects.create(
        stream_id=stream.pk, minute=NOW.replace(minute=0) - timedelta(days=days_ago),
        producer_id=producer, received=accepted + invalid, accepted=accepted,
        dead_lettered=invalid, invalid=invalid, violations=violations,
    )  # fmt: skip


def three_days(stream: Stream, **counts: int) -> None:
    for back in (1, 2, 3):
        account(stream, back, 200, **counts)


@pytest.mark.django_db
def test_a_stream_that_holds_is_moved_up_once_with_what_was_measured_in_the_audit() -> None:
    stream = on_rung("observe")
    three_days(stream, violations=1)
    with clock.at(NOW):
        assert advance_due_streams() == 1
        assert advance_due_streams() == 0, "its days on the new rung begin"
        stream.refresh_from_db()
        assert stream.enforcement == "warn"
        assert rule_of(stream).rung_since == NOW
        entry = AuditEntry.objects.get(action="stream.enforcement_advanced")
        assert (entry.actor, entry.object_key) == ("portal", stream.name)
        assert entry.detail["before"] == {"enforcement": "observe"}
        assert entry.detail["after"]["judged"] == 600
        assert entry.detail["after"]["violations"] == 3
        assert [(move.before, move.after, move.by) for move in moves_of(stream)] == [
            ("observe", "warn", "portal")
        ]
    with clock.at(NOW + timedelta(days=4)):
        for back in (-1, -2, -3):
            account(stream, back, 200)
        assert advance_due_streams() == 1
        stream.refresh_from_db()
        assert stream.enforcement == "enforce"
        assert advance_due_streams() == 0, "the top"


@pytest.mark.django_db
@pytest.mark.parametrize(
    "spoil",
    [
        lambda stream: account(stream, 2, 1, violations=1, invalid=5, producer=2),
        lambda stream: IngestMinute.objects.filter(
            stream_id=stream.pk, minute__date=TODAY - timedelta(days=2)
        ).update(received=99, accepted=99),
        lambda stream: EnforcementRule.objects.filter(stream=stream).update(mode="hand"),
        lambda stream: EnforcementRule.objects.filter(stream=stream).update(mode="off"),
        lambda stream: EnforcementRule.objects.filter(stream=stream).update(
            rung_since=NOW - timedelta(days=3)
        ),
        lambda stream: Stream.objects.filter(pk=stream.pk).update(lifecycle="retired"),
    ],
    ids=["a bad day", "a thin day", "by hand", "off", "new on its rung", "retired"],
)
def test_it_stays_where_it_is(spoil: Callable[[Stream], Any]) -> None:
    stream = on_rung("observe")
    three_days(stream)
    spoil(stream)
    with clock.at(NOW):
        assert advance_due_streams() == 0
    stream.refresh_from_db()
    assert stream.enforcement == "observe"


@pytest.mark.django_db
def test_test_producers_count_for_nothing_and_defaults_hold_without_a_rule() -> None:
    trial = Producer.objects.create(name="trial", is_test=True)
    spoiled = on_rung("observe")
    three_days(spoiled)
    account(spoiled, 2, 50, violations=50, producer=trial.pk)
    with clock.at(NOW - timedelta(days=9)):
        plain = make_stream(extra={"enforcement": "observe"})
    for back in range(1, 8):
        account(plain, back, 500)
    with clock.at(NOW):
        assert advance_due_streams() == 2
    assert EnforcementRule.objects.get(stream=plain).days == 7


@pytest.mark.django_db
def test_a_judgement_of_what_was_moved_since_changes_nothing() -> None:
    stream = on_rung("observe")
    judged = rule_of(stream)
    move_enforcement(stream, to="enforce", reason="We looked.", actor=SYSTEM)
    assert not advance_enforcement(stream, judged=judged, rung="observe", evidence={})
    other = on_rung("observe")
    judged = rule_of(other)
    with pytest.raises(PreconditionFailedError):
        set_rule(other, {"days": 8}, actor=SYSTEM, revision=other.revision - 1)
    set_rule(other, {"days": 9}, actor=SYSTEM, revision=other.revision)
    assert not advance_enforcement(other, judged=judged, rung="observe", evidence={})
    other.refresh_from_db()
    assert other.enforcement == "observe"


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_take_one_step() -> None:
    stream = on_rung("observe")
    three_days(stream)
    moved: list[int] = []
    barrier = threading.Barrier(4)

    def work() -> None:
        barrier.wait()
        moved.append(advance_due_streams(NOW))
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(moved) == 1
    stream.refresh_from_db()
    assert stream.enforcement == "warn"
    assert AuditEntry.objects.filter(action="stream.enforcement_advanced").count() == 1


@pytest.mark.django_db
def test_by_hand_it_goes_both_ways_with_a_reason_by_who_may_edit(team: Team) -> None:
    stream = on_rung("warn", team)
    ada = make_actor(Role.ENGINEER, team=team)
    with pytest.raises(InvalidError, match="rule"):
        move_enforcement(stream, to="enforce", reason=" ", actor=ada)
    with pytest.raises(InvalidStateError):
        move_enforcement(stream, to="warn", reason="Again.", actor=ada)
    with pytest.raises(NotPermittedError):
        move_enforcement(stream, to="enforce", reason="Mine.", actor=make_actor(Role.ENGINEER))
    move_enforcement(stream, to="enforce", reason="The release is out.", actor=ada)
    move_enforcement(stream, to="observe", reason="It broke.", actor=ada)
    stream.refresh_from_db()
    assert stream.enforcement == "observe"
    moves = moves_of(stream)
    assert [(move.before, move.after, move.reason) for move in moves] == [
        ("enforce", "observe", "It broke."), ("warn", "enforce", "The release is out."),
    ]  # fmt: skip
    assert moves[0].by == ada.label


@pytest.mark.django_db
def test_changing_the_fact_itself_begins_the_rung_and_stands_in_the_history() -> None:
    stream = on_rung("enforce")
    with clock.at(NOW):
        change_stream(stream, {"enforcement": "observe"}, actor=SYSTEM)
        assert rule_of(stream).rung_since == NOW
        change_stream(stream, {"enforcement": "observe", "title": "Same"}, actor=SYSTEM)
    with clock.at(NOW + timedelta(days=1)):
        change_stream(stream, {"title": "Other"}, actor=SYSTEM)
    assert rule_of(stream).rung_since == NOW
    assert moves_of(stream)[-1].after == "observe"


def test_the_rungs_follow_each_other() -> None:
    assert [next_rung(rung) for rung in Enforcement.values] == ["warn", "enforce", None]


@pytest.mark.django_db
def test_what_is_said_of_it() -> None:
    assert "top of the ladder" in ladder_of(on_rung("enforce")).sentence
    stream = on_rung("observe")
    with clock.at(NOW):
        assert "Too few events" in ladder_of(stream).sentence
        account(stream, 1, 200)
        said = ladder_of(stream).sentence
        assert "22" in said
        assert "if it holds: 1 of 3" in said
        account(stream, 2, 200)
        account(stream, 3, 200)
        assert ladder_of(stream).sentence == "Moves to warn within the hour."
        set_rule(stream, {"mode": "hand"}, actor=SYSTEM)
        assert ladder_of(stream).sentence == "Ready for warn: move it by hand."
        set_rule(stream, {"mode": "off"}, actor=SYSTEM)
        assert "off for this stream" in ladder_of(stream).sentence


# --- REST ---


def call(method: str, path: str, team: Team | None, body: str = "", match: str = "") -> Any:
    token = token_of(make_person(Role.ENGINEER, team=team), "read", "write")
    headers = {"Authorization": f"Bearer {token}"} | ({"If-Match": match} if match else {})
    return Client().generic(
        method, f"/api/v1/streams/{path}", body, content_type="application/json", headers=headers
    )


@pytest.mark.django_db
def test_the_ladder_is_read_ruled_and_moved_over_rest(team: Team) -> None:
    stream = on_rung("observe", team)
    with clock.at(NOW):
        three_days(stream, violations=1)
        read = call("GET", f"{stream.name}/enforcement", None)
        body = read.json()
        assert (body["enforcement"], body["next"], body["good_days"]) == ("observe", "warn", 3)
        assert body["share"] == pytest.approx(3 / 600)
        assert body["rule"] == {
            "mode": "auto", "violation_bound": 0.01, "days": 3, "least_events": 100,
        }  # fmt: skip
        assert [day["state"] for day in body["days"]] == ["good", "good", "good", "running"]
        path = f"{stream.name}/enforcement"
        assert call("PATCH", path, team, '{"days": 5}').status_code == 428
        assert call("PATCH", path, team, '{"days": 5}', match='"old"').status_code == 412
        changed = call("PATCH", path, team, '{"days": 5}', match=read["ETag"])
        assert changed.json()["rule"]["days"] == 5
        assert changed["ETag"] != read["ETag"]
        for bad, status in (('{"days": 0}', 422), ('{"days": "5"}', 400), ('{"x": 1}', 400),
                            ('{"violation_bound": 1.5}', 422)):  # fmt: skip
            answer = call("PATCH", path, team, bad, match=changed["ETag"])
            assert answer.status_code == status, bad
        move = f"{path}/move"
        assert call("POST", move, team, '{"to": "enforce"}').status_code == 422
        assert call("POST", move, None, '{"to": "enforce", "reason": "x"}').status_code == 403
        moved = call("POST", move, team, '{"to": "enforce", "reason": "The app is out."}').json()
        assert (moved["enforcement"], moved["next"], moved["share"]) == ("enforce", None, None)
        assert moved["history"][0]["reason"] == "The app is out."
        again = call("POST", move, team, '{"to": "enforce", "reason": "Again."}')
        assert again.status_code == 409
