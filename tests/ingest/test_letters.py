"""Dead letters put right: dry run, approval, replay exactly once, discard; through the services."""

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection

from catalog.models import Stream
from catalog.services.changes import publish_schema
from catalog.services.producers import permit
from governance.errors import NotOwnRequestError, RoleNeededError
from governance.models import AuditEntry, Job, Notice, User
from governance.models.jobs import JobState
from governance.services import jobs
from governance.services.delegations import delegate, end_delegation
from governance.types import Role
from ingest.judging.admission import directory
from ingest.letters.repairs import compile_steps
from ingest.log.store import close_writer
from ingest.models import DeadLetter, Repair, RepairState
from ingest.selectors import dead_letters, repairs
from ingest.services import growth, letter_jobs, letters
from ingest.types import Mark
from portal.kernel import clock
from portal.kernel.actor import SYSTEM
from portal.kernel.errors import (
    InvalidError,
    InvalidStateError,
    NotFoundError,
    NotPermittedError,
    PortalError,
)
from tests.ingest.shop import CAST, SCHEMA, Shop, run
from tests.support.factories import make_actor, make_stream, make_team

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def shop() -> Iterator[Shop]:
    directory.forget_all()
    yield Shop()
    close_writer()
    directory.forget_all()


def checked(shop: Shop, steps: list[dict[str, Any]] = CAST) -> Repair:
    repair = letters.declare_repair(shop.group(), steps, actor=shop.ada)
    letters.start_dry_run(repair, actor=shop.ada)
    run()
    repair.refresh_from_db()
    return repair


def approved(shop: Shop, steps: list[dict[str, Any]] = CAST) -> Repair:
    return letters.approve_repair(checked(shop, steps), actor=shop.ben)


def one_step(shop: Shop, stored: int) -> None:
    """Do the least that a worker can: a budget may be spent before the first step begins."""
    before = len(shop.stored())
    while len(shop.stored()) == before:
        jobs.run_due_jobs(budget_seconds=0.001)
    assert len(shop.stored()) == stored


def test_a_repair_goes_from_dry_run_over_approval_to_events_that_are_stored_once(
    shop: Shop,
) -> None:
    shop.send({"n": 1}, start=100)
    shop.send({"n": "1"}, {"n": "2"}, {"n": "NaN"}, {"n": "4"}, {"n": "5"})
    assert shop.group().count == 5
    repair = checked(shop)
    counts = repair.dry_run
    assert (counts["checked"], counts["accepted"], counts["refused"]) == (5, 4, 1)
    (fault,) = counts["faults"].values()
    assert fault == {"events": 1, "reason": "repair_failed", "code": "repair_failed",
                     "pointer": "/data/n", "detail": "is text that is no whole number"}  # fmt: skip
    assert "NaN" not in json.dumps(counts)
    assert set(shop.stored()) == {"e100"}, "a dry run stores nothing"
    with pytest.raises(InvalidStateError):
        letters.apply_repair(repair, actor=shop.ada)
    letters.approve_repair(repair, actor=shop.ben)
    letters.apply_repair(repair, actor=shop.ada)
    run()
    stored = shop.stored()
    assert {name: data["n"] for name, (data, _) in stored.items()} == {
        "e100": 1, "e0": 1, "e1": 2, "e3": 4, "e4": 5,
    }  # fmt: skip
    assert {name for name, (_, marks) in stored.items() if marks & Mark.REPLAYED} == {
        "e0", "e1", "e3", "e4",
    }  # fmt: skip
    states = shop.states()
    assert [name for name, state in states.items() if state == "open"] == ["e2"]
    assert shop.tried("e2")["errors"][0]["pointer"] == "/data/n"
    assert shop.totals() == {
        "received": 6, "accepted": 1, "duplicate": 0, "dead_lettered": 5, "replayed": 4,
    }  # fmt: skip
    repair.refresh_from_db()
    assert repair.state == RepairState.PART_APPLIED
    assert (repair.outcome["accepted"], repair.outcome["refused"]) == (4, 1)
    actions = list(
        AuditEntry.objects.filter(action__startswith="dead_letter.").values_list(
            "action", flat=True
        )
    )
    assert sorted(actions) == [
        "dead_letter.repair_approved", "dead_letter.repair_declared",
        "dead_letter.replay_ended", "dead_letter.replay_started",
    ]  # fmt: skip
    told = Notice.objects.filter(user_id=shop.ada.id).values_list("sentence", flat=True)
    assert any("4 replayed" in sentence for sentence in told)


def test_who_declared_it_does_not_approve_it_unless_nobody_else_could(shop: Shop) -> None:
    shop.send({"n": "1"})
    repair = checked(shop)
    assert not letters.may_approve(shop.ada, repair)
    with pytest.raises(NotOwnRequestError):
        letters.approve_repair(repair, actor=shop.ada)
    on_call = make_actor(Role.ON_CALL)
    with pytest.raises(NotPermittedError):
        letters.approve_repair(repair, actor=on_call)
    with pytest.raises(NotFoundError):
        repairs.get_repair(make_actor(Role.ENGINEER), repair.pk)
    shop.team.memberships.filter(user_id=shop.ben.id).delete()
    letters.approve_repair(repair, actor=shop.ada)
    (row,) = AuditEntry.objects.filter(action="dead_letter.repair_approved")
    assert "the only one who may" in row.summary


def test_a_deputy_of_who_declared_it_does_not_approve_it(shop: Shop) -> None:
    shop.send({"n": "1"})
    repair = checked(shop)
    now = clock.now()
    made = delegate(
        actor=shop.ada, deputy=User.objects.get(pk=shop.ben.id), since=now - timedelta(hours=1),
        until=now + timedelta(days=1), note="Away.",
    )  # fmt: skip
    assert not letters.may_approve(shop.ben, repair)
    with pytest.raises(NotOwnRequestError):
        letters.approve_repair(repair, actor=shop.ben)
    end_delegation(made.pk, actor=shop.ada)
    assert letters.may_approve(shop.ben, repair)
    assert letters.approve_repair(repair, actor=shop.ben).state == "approved"


def test_of_two_who_decide_at_once_one_is_told(shop: Shop) -> None:
    shop.send({"n": "1"})
    mine = checked(shop)
    theirs = Repair.objects.get(pk=mine.pk)
    letters.approve_repair(mine, actor=shop.ben)
    with pytest.raises(InvalidStateError):
        letters.decline_repair(theirs, actor=shop.ben, reason="No.")
    letters.decline_repair(mine, actor=shop.ada, reason="Wait for 9.14.1.")
    with pytest.raises(InvalidStateError):
        letters.apply_repair(mine, actor=shop.ada)


def test_a_stranger_and_a_producer_key_handle_nothing(shop: Shop) -> None:
    shop.send({"n": "1"})
    group, stranger = shop.group(), make_actor(Role.ENGINEER, team=make_team())
    assert dead_letters.groups(stranger) == []
    for refused in (
        lambda: letters.declare_repair(group, CAST, actor=stranger),
        lambda: letters.replay_group(group, actor=stranger),
        lambda: letters.discard_group(group, actor=stranger, reason="Away."),
        lambda: letters.mark_known(group, actor=stranger, note="x"),
        lambda: letters.assign_group(group, None, actor=stranger),
    ):
        with pytest.raises(RoleNeededError):
            refused()
    assert not Repair.objects.exists()


def test_nothing_is_stored_twice_when_a_step_dies_midway(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.send(*[{"n": str(number)} for number in range(30)])
    repair = approved(shop)
    monkeypatch.setattr(letter_jobs, "PACE_SECONDS", 0.01)
    monkeypatch.setattr(letter_jobs, "MAX_BATCH", 10)
    settle = letter_jobs._settle
    died: list[int] = []

    def dies(*args: Any) -> None:
        settle(*args)
        if len(died) < 2:
            died.append(len(shop.stored()))
            raise ConnectionError("the worker is killed")

    monkeypatch.setattr(letter_jobs, "_settle", dies)
    letters.apply_repair(repair, actor=shop.ada)
    for _ in range(2):
        with pytest.raises(ConnectionError):
            jobs.run_due_jobs()
        assert shop.stored() == {}, "what died is undone as a whole"
        assert set(shop.states().values()) == {"open"}
        Job.objects.filter(state=JobState.RUNNING).update(lease_until=clock.now() - timedelta(1))
    run()
    assert died == [10, 10]
    assert len(shop.stored()) == 30
    assert set(shop.states().values()) == {"replayed"}
    assert shop.totals()["replayed"] == 30
    repair.refresh_from_db()
    assert (repair.state, repair.outcome["accepted"]) == (RepairState.APPLIED, 30)


def test_a_second_click_and_a_second_repair_store_nothing_more(shop: Shop) -> None:
    shop.send({"n": "1"}, {"n": "2"})
    first, second = approved(shop), approved(shop)
    job = letters.apply_repair(first, actor=shop.ada)
    assert letters.apply_repair(first, actor=shop.ada) == job
    letters.apply_repair(second, actor=shop.ada)
    run()
    assert len(shop.stored()) == 2
    assert shop.totals()["replayed"] == 2
    first.refresh_from_db()
    second.refresh_from_db()
    assert first.outcome["accepted"] + second.outcome["accepted"] == 2
    assert second.state == RepairState.APPLIED


def test_an_event_that_was_sent_again_meanwhile_is_a_duplicate_or_a_conflict(shop: Shop) -> None:
    at = (clock.now() - timedelta(minutes=3)).isoformat()
    shop.send({"n": "1"}, {"n": "2"}, time=at)
    repair = approved(shop)
    assert (repair.dry_run["accepted"], repair.dry_run["refused"]) == (2, 0)
    shop.send({"n": 1}, {"n": 7}, time=at)
    again = letters.declare_repair(shop.group(), CAST, actor=shop.ada)
    letters.start_dry_run(again, actor=shop.ada)
    letters.apply_repair(repair, actor=shop.ada)
    run()
    repair.refresh_from_db()
    assert {name: repair.outcome[name] for name in ("accepted", "duplicate", "refused")} == {
        "accepted": 0, "duplicate": 1, "refused": 1,
    }  # fmt: skip
    again.refresh_from_db()
    assert (again.dry_run["duplicate"], again.dry_run["refused"]) == (1, 1), "as the dry run says"
    assert shop.states() == {"e0": "replayed", "e1": "open"}
    assert shop.tried("e1")["reason"] == "id_conflict"
    assert DeadLetter.objects.count() == 2, "what is still refused leaves no second dead letter"
    assert {data["n"] for data, _ in shop.stored().values()} == {1, 7}
    assert shop.totals()["replayed"] == 0


def test_an_event_is_not_too_late_for_having_waited(shop: Shop) -> None:
    Stream.objects.filter(pk=shop.stream.pk).update(late_seconds=600)
    directory.forget_all()
    shop.send({"n": "1"})
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE ingest_dead_letter SET received_at = received_at - interval '2 minutes'"
        )
    Stream.objects.filter(pk=shop.stream.pk).update(late_seconds=250)
    (letter,) = DeadLetter.objects.all()
    assert letter.occurred_at is not None
    repair = approved(shop)
    assert repair.dry_run["accepted"] == 1, "three minutes old when it came, five by now"
    letters.apply_repair(repair, actor=shop.ada)
    run()
    with connection.cursor() as cursor:
        cursor.execute("SELECT received_at FROM ingest_event")
        assert cursor.fetchone() == (letter.received_at,)


def test_versions_and_permissions_are_those_of_today(shop: Shop) -> None:
    shop.send({"n": 1}, dataschema="2")
    group = shop.group()
    assert group.reason == "schema_unknown"
    letters.replay_group(group, actor=shop.ada)
    run()
    assert shop.states() == {"e0": "open"}
    wider = {**SCHEMA, "properties": {**SCHEMA["properties"], "more": {"type": "string"}}}
    publish_schema(shop.stream, wider, actor=SYSTEM)
    shop.producer.permitted.all().delete()
    letters.replay_group(group, actor=shop.ada)
    run()
    assert shop.tried()["reason"] == "not_permitted"
    shop.producer.permitted.create(stream=shop.stream)
    letters.replay_group(group, actor=make_actor(Role.ON_CALL))
    run()
    assert shop.states() == {"e0": "replayed"}
    assert set(shop.stored()) == {"e0"}


def test_a_repaired_event_lands_only_where_its_owner_approved(shop: Shop) -> None:
    other = make_stream("testing.elsewhere", schema=SCHEMA, team=make_team())
    shop.producer.permitted.create(stream=other)
    shop.send({"n": "1"})
    steps = [*CAST, {"do": "compute", "at": "/type", "expression": f"'{other.name}'"}]
    repair = checked(shop, steps)
    assert {stream.name for stream in letters.landings_of(repair)} == {
        shop.stream.name, other.name,
    }  # fmt: skip
    with pytest.raises(NotPermittedError):
        letters.approve_repair(repair, actor=shop.ben)
    letters.approve_repair(repair, actor=make_actor(Role.ADMIN))
    Repair.objects.filter(pk=repair.pk).update(dry_run=repair.dry_run | {"streams": {}})
    repair.refresh_from_db()
    letters.apply_repair(repair, actor=shop.ada)
    run()
    assert shop.tried()["errors"][0]["code"] == "landing"


def test_bytes_that_are_no_event_stay_with_a_clear_word(shop: Shop) -> None:
    shop.send({"n": "1"}, {"n": "2"})
    with connection.cursor() as cursor:
        cursor.execute("UPDATE ingest_dead_letter SET body = '{\"a' WHERE event_id = 'e0'")
        cursor.execute(
            "UPDATE ingest_dead_letter SET content_type = 'text/plain',"
            ' body = \'{"event": "Counted", "messageId": "e1"}\' WHERE event_id = \'e1\''
        )
    repair = checked(shop)
    assert repair.dry_run["refused"] == 2
    said = {fault["detail"] for fault in repair.dry_run["faults"].values()}
    assert any("cannot be read as one event" in text or "another door" in text for text in said)
    with pytest.raises(InvalidStateError, match="No event passes"):
        letters.approve_repair(repair, actor=shop.ben)


def test_a_discard_needs_a_reason_and_ends_only_what_is_open(shop: Shop) -> None:
    shop.send({"n": "1"}, {"n": "NaN"})
    letters.apply_repair(approved(shop), actor=shop.ada)
    run()
    with pytest.raises(InvalidError):
        letters.discard_group(shop.group(), actor=shop.ada, reason=" ")
    letters.discard_group(shop.group(), actor=shop.ada, reason="Test devices.")
    run()
    assert shop.states() == {"e0": "replayed", "e1": "discarded"}
    gone = DeadLetter.objects.get(event_id="e1")
    assert (gone.decision, gone.decided_by) == ("Test devices.", shop.ada.label)
    assert AuditEntry.objects.filter(action="dead_letter.discard_started").count() == 1
    letters.replay_group(dead_letters.group_of(shop.ada, gone.group_key), actor=shop.ada)
    run()
    assert set(shop.stored()) == {"e0"}, "what was discarded never comes back"


def test_a_replay_can_be_paused_resumed_and_stopped(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.send(*[{"n": str(number)} for number in range(12)])
    monkeypatch.setattr(letter_jobs, "MAX_BATCH", 4)
    repair = approved(shop)
    job = letters.apply_repair(repair, actor=shop.ada)
    one_step(shop, 4)
    jobs.pause_job(job, actor=shop.ada)
    jobs.run_due_jobs()
    job.refresh_from_db()
    assert (job.state, job.done, len(shop.stored())) == (JobState.PAUSED, 4, 4)
    repair.refresh_from_db()
    assert repairs.standing_of(repair, repairs.job_of(repair)) == "paused"
    jobs.resume_job(job, actor=shop.ada)
    one_step(shop, 8)
    jobs.stop_job(job, actor=shop.ben)
    assert len(shop.stored()) == 8
    assert repairs.standing_of(repair, repairs.job_of(repair)) == "stopped"
    letters.apply_repair(approved(shop), actor=shop.ada)
    run()
    assert len(shop.stored()) == 12


def test_a_step_ends_in_time_and_reads_few_bytes_at_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.send(*[{"n": str(number), "note": "x" * 900} for number in range(9)])
    monkeypatch.setattr(letter_jobs, "MAX_BYTES", 2_000)
    repair = letters.declare_repair(shop.group(), CAST, actor=shop.ada)
    job = letters.start_dry_run(repair, actor=shop.ada)
    first = letter_jobs._letters(
        letter_jobs._READ, repair, letter_jobs._begin(job, repair)[0], letter_jobs.BATCH
    )
    assert len(first) == 2, "two letters of about 1,100 bytes pass 2,000"
    monkeypatch.setattr(letter_jobs, "BUDGET_SECONDS", 0.0001)
    run()
    repair.refresh_from_db()
    assert (repair.state, repair.dry_run["accepted"]) == (RepairState.WAITING, 9)


def test_a_rate_that_is_not_offered_is_refused(shop: Shop) -> None:
    shop.send({"n": "1"})
    with pytest.raises(InvalidError):
        letters.apply_repair(approved(shop), actor=shop.ada, rate=7)


def test_a_day_without_a_leaf_is_made_when_an_event_lands_there(shop: Shop) -> None:
    Stream.objects.filter(pk=shop.stream.pk).update(late_seconds=400 * 86_400, retention_days=400)
    directory.forget_all()
    at = clock.now() - timedelta(days=77)
    shop.send({"n": "1"}, time=at.isoformat())
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS ingest_event_experimental_{at:%Y%m%d}")
    letters.apply_repair(approved(shop), actor=shop.ada)
    run()
    assert set(shop.stored()) == {"e0"}


def test_groups_are_told_apart_by_the_version_of_their_producer(shop: Shop) -> None:
    shop.send({"n": "1"}, producerversion="9.14.0")
    shop.send({"n": "2"}, start=5, producerversion="9.13.2")
    shop.send({"n": "3"}, start=9)
    assert sorted(group.version for group in dead_letters.groups(shop.ada)) == [
        "", "9.13.2", "9.14.0",
    ]  # fmt: skip


def test_a_group_can_be_given_to_somebody_and_called_known(shop: Shop) -> None:
    shop.send({"n": "1"})
    letters.assign_group(shop.group(), User.objects.get(pk=shop.ben.id), actor=shop.ada)
    letters.mark_known(shop.group(), actor=shop.ada, note="9.14.1 is on its way.")
    group = shop.group()
    assert (group.assignee, group.note) == (shop.ben.label, "9.14.1 is on its way.")
    assert group.known_at is not None
    assert Notice.objects.filter(user_id=shop.ben.id, title__contains="yours").exists()


def test_examples_are_for_who_may_read_the_bytes(shop: Shop) -> None:
    shop.send({"n": "1"}, {"n": "x"})
    repair = checked(shop)
    found = repairs.examples_of(shop.ada, repair)
    assert found is not None
    assert [(one.before["data"]["n"], one.after and one.after["data"]["n"]) for one in found] == [
        ("x", None), ("1", 1),
    ]  # fmt: skip
    assert found[0].pointer == "/data/n"
    assert [one.changed for one in found] == [("/data/n",)] * 2
    assert repairs.examples_of(make_actor(Role.ON_CALL), repair) is None


def test_an_unknown_error_names_no_value() -> None:
    with pytest.raises(PortalError) as caught:
        compile_steps([{"do": "cast", "at": "/id", "to": "string"}])
    assert caught.value.errors[0].pointer == "/steps/0/at"


def test_growth_is_told_once_an_episode_to_owners_and_on_call(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_call, stranger = make_actor(Role.ON_CALL), make_actor(Role.ENGINEER)
    monkeypatch.setattr(growth, "LEAST", 5)
    shop.send(*[{"n": "x"}] * 4, producerversion="9.14.0")
    assert growth.watch_growth() == 0
    shop.send({"n": "x"}, start=9, producerversion="9.14.0")
    assert (growth.watch_growth(), growth.watch_growth()) == (1, 0)
    told = Notice.objects.filter(kind="alarm_raised")
    assert set(told.values_list("user_id", flat=True)) == {
        shop.ada.id, shop.ben.id, on_call.id,
    }  # fmt: skip
    assert not told.filter(user_id=stranger.id).exists()
    first = told[0]
    assert "5 events of android 9.14.0" in first.sentence.replace("\u00a0", " ")
    newest = DeadLetter.objects.filter(group_key=shop.group().key).order_by("-received_at", "id")[0]
    assert first.url == f"/letters/{newest.id}/", "which leads to the group, and names no member"
    assert shop.group().trend == "growing"
    with time_machine.travel(clock.now() + timedelta(minutes=41), tick=False):
        assert growth.watch_growth() == 0
        assert shop.group().growing_since is None
        shop.send(*[{"n": "x"}] * 9, start=20, producerversion="9.14.0")
        assert growth.watch_growth() == 1, "it usually gets one or two in ten minutes"
    assert told.count() == 6


def test_what_a_group_always_gets_is_no_growth(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "LEAST", 5)
    shop.send(*[{"n": "x"}] * 20)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE ingest_dead_letter SET received_at = received_at - interval '15 minutes'"
        )
    shop.send(*[{"n": "x"}] * 20, start=50)
    assert growth.watch_growth() == 0


def test_two_workers_store_each_event_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.send(*[{"n": str(number)} for number in range(40)])
    monkeypatch.setattr(letter_jobs, "PACE_SECONDS", 0.001)
    first, second = approved(shop), approved(shop)
    letters.apply_repair(first, actor=shop.ada)
    letters.apply_repair(second, actor=shop.ada)

    def work() -> None:
        try:
            run()
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(shop.stored()) == 40
    assert shop.totals()["replayed"] == 40
    first.refresh_from_db()
    second.refresh_from_db()
    assert first.outcome["accepted"] + second.outcome["accepted"] == 40


def test_registering_a_stream_replays_what_waited_for_it(shop: Shop) -> None:
    """By who registers it, and each event by what its own producer may do."""
    name = shop.stream.name
    shop.stream.name = "testing.late"
    shop.send({"n": 1}, {"n": "2"})
    shop.stream.name = name
    assert shop.states() == {"e0": "open", "e1": "open"}
    permit(shop.producer, actor=SYSTEM, globs=("testing.*",))
    late = make_stream("testing.late", schema=SCHEMA, team=shop.team)
    repair = Repair.objects.get()
    assert (repair.kind, repair.state, repair.stream_id) == ("replay", "applying", late.pk)
    run()
    shop.stream = late
    assert shop.stored() == {"e0": ({"n": 1}, Mark.REPLAYED)}
    assert shop.states() == {"e0": "replayed", "e1": "open"}
    make_stream("testing.later", schema=SCHEMA, team=shop.team)
    assert Repair.objects.count() == 1
