"""Runs of policies over everything: findings open and close, tallies, nights, and trying one."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from threading import Barrier, BrokenBarrierError
from typing import Any

import pytest
from django.db import connection, transaction

from catalog.models import Domain, Stream
from catalog.services.consumers import create_consumer
from governance.errors import RoleNeededError
from governance.models import Job, Policy, PolicyFinding
from governance.policies import facts
from governance.policies.facts import Thing
from governance.selectors.policies import counts_by_policy, judged_now, visible_findings
from governance.services import policy_runs
from governance.services.jobs import run_due_jobs
from governance.services.policies import change_policy, create_policy
from governance.services.policy_runs import run_nightly, run_policies, try_policy
from governance.services.waivers import waive
from governance.types import Role
from portal.kernel import clock, sql
from portal.kernel.actor import SYSTEM, Actor
from tests.support.factories import make_actor, make_stream, make_team

pytestmark = pytest.mark.django_db


@pytest.fixture
def dot() -> Actor:
    """Dot is an admin."""
    return make_actor(Role.ADMIN)


def found_by(slug: str) -> set[str]:
    rows = PolicyFinding.objects.filter(policy__slug=slug, closed_at=None)
    return set(rows.values_list("subject_key", flat=True))


def bare_streams(count: int) -> list[str]:
    """Streams that no service made: nobody judged them yet."""
    domain, _ = Domain.objects.get_or_create(slug="many")
    names = [f"many.thing_{number:04d}" for number in range(count)]
    Stream.objects.bulk_create(
        Stream(name=name, domain=domain, lifecycle="active") for name in names
    )
    return names


def test_a_run_judges_everything_and_opens_and_closes_findings(dot: Actor) -> None:
    names = bare_streams(3)
    run_policies(actor=dot)
    run_due_jobs()
    job = Job.objects.get(kind=policy_runs.KIND, object_key="*")
    assert (job.state, job.done, job.total) == ("done", 3, 3)
    assert found_by("described") == set(names)
    since = PolicyFinding.objects.get(policy__slug="described", subject_key=names[0]).since
    Stream.objects.filter(name=names[2]).update(description="It happened.")
    Stream.objects.filter(name=names[1]).delete()
    run_policies(actor=dot)
    run_due_jobs()
    assert found_by("described") == {names[0]}, "one is mended, one is gone"
    again = PolicyFinding.objects.get(policy__slug="described", subject_key=names[0])
    assert again.since == since
    assert again.judged_at > since


def test_a_run_keeps_how_many_were_in_order_and_what_was_not_measured(
    dot: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(facts.subject_of("stream").measured, "stream.review_overdue_days")
    names = bare_streams(3)
    waive(
        Policy.objects.get(slug="described"), names[0], actor=dot, reason="Soon.",
        until=clock.now() + timedelta(days=1),
    )  # fmt: skip
    run_policies(actor=dot)
    run_due_jobs()
    tally = Policy.objects.get(slug="described").tally
    assert {word: tally[word] for word in ("in_order", "breaks", "waived", "not_measured")} == {
        "in_order": 0, "breaks": 2, "waived": 1, "not_measured": 0,
    }  # fmt: skip
    assert Policy.objects.get(slug="review-not-overdue").tally["not_measured"] == 3
    assert found_by("review-not-overdue") == set()


def test_a_run_of_many_goes_chunk_by_chunk_with_a_fixed_number_of_queries(
    dot: Actor, django_assert_max_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare_streams(45)
    monkeypatch.setattr(policy_runs, "CHUNK", 10)
    run_policies(actor=dot)
    run_due_jobs()
    job = Job.objects.get(kind=policy_runs.KIND, object_key="*")
    assert (job.state, job.done) == ("done", 45)
    assert len(found_by("described")) == 45
    stream = facts.subject_of("stream")
    with django_assert_max_num_queries(12):
        assert len(stream.things("", 2)) == 2
    with django_assert_max_num_queries(12):
        assert len(stream.things("", 45)) == 45


def test_a_policy_changed_during_its_run_is_run_from_the_start(dot: Actor) -> None:
    bare_streams(3)
    policy = create_policy(
        "titled", actor=dot, title="Titled", sentence="It has a title.", subject="stream",
        expression='stream.title != ""',
    )  # fmt: skip
    job = Job.objects.get(kind=policy_runs.KIND, object_key="titled")
    step = policy_runs.run_step(job)
    job.cursor = dict(step.cursor)
    assert len(found_by("titled")) == 3
    change_policy(policy, {"expression": "true"}, actor=dot)
    again = policy_runs.run_step(job)
    assert again.cursor["version"] == 2
    assert again.done == 3, "from the first thing"
    assert found_by("titled") == set()


def test_the_night_starts_one_run_also_where_the_portal_slept_through_it() -> None:
    evening = datetime(2026, 11, 27, 22, tzinfo=UTC)
    with clock.at(evening):
        assert run_nightly()
        assert not run_nightly()
        run_due_jobs()
    with clock.at(evening + timedelta(hours=3)):
        assert not run_nightly(), "the night begins at 02:00"
    with clock.at(evening + timedelta(hours=14)):
        assert run_nightly()


def test_findings_are_shown_only_on_what_one_may_know_of(dot: Actor) -> None:
    team = make_team()
    ada, cy = make_actor(Role.ENGINEER, team=team), make_actor(Role.ENGINEER)
    hidden = make_stream(team=team, description="")
    Stream.objects.filter(pk=hidden.pk).update(restricted=True)
    pk = Policy.objects.get(slug="described").pk
    assert visible_findings(cy).count() == 0
    assert pk not in counts_by_policy(cy)
    for knows in (ada, dot):
        assert [row.subject_key for row in visible_findings(knows)] == [hidden.name]
        assert counts_by_policy(knows)[pk] == {"breaks": 1, "undecided": 0, "waived": 0}


def test_trying_shows_what_a_policy_would_hit_and_keeps_nothing(dot: Actor) -> None:
    names = bare_streams(60)
    Stream.objects.filter(name=names[0]).update(title="Named")
    before = PolicyFinding.objects.count(), Policy.objects.count()
    found = try_policy("stream", 'stream.title != ""', actor=dot)
    assert (found["judged"], found["total"]) == (60, 60)
    assert (found["in_order"], found["breaks"], found["news"]) == (1, 59, 59)
    assert len(found["first"]) == 50
    assert found["first"][0]["url"] == f"/streams/{names[1]}/"
    assert (PolicyFinding.objects.count(), Policy.objects.count()) == before


def test_trying_says_which_fact_is_not_measured(
    dot: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare_streams(2)
    monkeypatch.delitem(facts.subject_of("stream").measured, "stream.review_overdue_days")
    found = try_policy("stream", "stream.review_overdue_days < 1", actor=dot)
    assert (found["not_measured"], found["lacks"]) == (2, ["stream.review_overdue_days"])


def test_trying_an_edit_says_what_is_new_with_it(dot: Actor) -> None:
    names = bare_streams(3)
    Stream.objects.filter(name=names[0]).update(description="x")
    run_policies(actor=dot)
    run_due_jobs()
    policy = Policy.objects.get(slug="described")
    found = try_policy("stream", "size(stream.description) > 3", actor=dot, policy=policy)
    assert (found["breaks"], found["news"]) == (3, 1)
    assert [hit["key"] for hit in found["first"] if hit["is_new"]] == [names[0]]


def test_only_admins_run_and_try(dot: Actor) -> None:
    cy = make_actor(Role.ENGINEER)
    with pytest.raises(RoleNeededError):
        run_policies(actor=cy)
    with pytest.raises(RoleNeededError):
        try_policy("stream", "true", actor=cy)


def test_a_fact_that_an_app_above_measures_is_judged(dot: Actor) -> None:
    names = bare_streams(2)
    stream = facts.subject_of("stream")
    kept = dict(stream.measured)
    facts.measure("stream", "stream.review_overdue_days", lambda keys: dict.fromkeys(keys[:1], 9))
    try:
        run_policies(actor=dot)
        run_due_jobs()
    finally:
        stream.measured.update(kept)
    assert found_by("review-not-overdue") == {names[0]}
    assert Policy.objects.get(slug="review-not-overdue").tally["not_measured"] == 1


def test_a_consumer_that_reads_nothing_has_a_week(dot: Actor) -> None:
    consumer = create_consumer("crm", actor=SYSTEM, team=make_team())
    run_policies(actor=dot)
    run_due_jobs()
    assert found_by("no-orphan-consumers") == set()
    with clock.at(clock.now() + timedelta(days=8)):
        run_policies(actor=dot)
        run_due_jobs()
    assert found_by("no-orphan-consumers") == {consumer.name}


@pytest.mark.django_db(transaction=True)
def test_a_run_and_a_change_at_the_same_thing_wait_for_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One finds what the other closes: held in one order, neither is undone by the database."""
    bare_streams(1)
    thing = facts.subject_of("stream").after("", 1)[0]
    real, both = sql.execute, Barrier(2)

    def execute(statement: sql.Statement, params: sql.Params) -> int:
        done = real(statement, params)
        if statement is policy_runs._OPEN:
            with suppress(BrokenBarrierError):  # the other waits for the rows, as it should
                both.wait(timeout=1)
        return done

    def judge(**stated: str) -> bool:
        there = Thing(thing.key, {**thing.facts, "stream": thing.facts["stream"] | stated})
        with transaction.atomic():
            said = {thing.key: judged_now("stream", there)}
            policy_runs.keep_findings("stream", said, at=clock.now())
        connection.close()
        return True

    judge(description="", owner="")
    monkeypatch.setattr(sql, "execute", execute)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(judge, description="x", owner="")
        second = pool.submit(judge, description="", owner="x")
        assert first.result()
        assert second.result()
    assert len(found_by("described") | found_by("owner-present")) == 1
