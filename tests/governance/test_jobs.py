"""Long work: one step at a time, each exactly once, steered by people, survived by its row."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection

from governance import job_kinds
from governance.job_kinds import Step
from governance.models import AuditEntry, Job, JobState
from governance.services import jobs
from governance.types import ResourceRef, Role
from portal.kernel import clock
from portal.kernel.actor import SYSTEM, Actor
from portal.kernel.errors import InvalidError, InvalidStateError, NotPermittedError
from tests.support.factories import make_actor

KIND = "testing.count_to"
ABOUT = ResourceRef("stream", "checkout.order_placed")
GOAL = 5


@pytest.fixture(autouse=True)
def kind() -> Iterator[None]:
    job_kinds.register(KIND, count_one)
    yield
    job_kinds.forget(KIND)


def count_one(job: Job) -> Step:
    done = job.done + 1
    return Step({"at": done}, done, GOAL, f"{done} of {GOAL}", is_finished=done == GOAL)


def begin(actor: Actor = SYSTEM) -> Job:
    return jobs.start_job(KIND, ABOUT, actor=actor, title="Count to five")


def fresh(job: Job) -> Job:
    return Job.objects.get(pk=job.pk)


def do_little(job: Job) -> None:
    """A step, and not all of them: a budget may be over before the first begins."""
    while not fresh(job).done:
        assert jobs.run_due_jobs(budget_seconds=0.0001) == 0


@pytest.mark.django_db
def test_work_is_done_step_by_step_until_it_is_finished() -> None:
    job = begin()
    assert jobs.run_due_jobs() == 1
    done = fresh(job)
    assert (done.state, done.done, done.total, done.cursor) == (JobState.DONE, 5, 5, {"at": 5})
    assert (done.lease_until, done.percent) == (None, 100)
    assert done.finished_at is not None
    assert jobs.run_due_jobs() == 0


@pytest.mark.django_db
def test_a_worker_whose_time_is_over_leaves_the_rest_to_the_next() -> None:
    job = begin()
    do_little(job)
    waiting = fresh(job)
    assert waiting.state == JobState.WAITING
    assert 0 < waiting.done < GOAL
    assert jobs.run_due_jobs() == 1
    assert fresh(job).done == GOAL


@pytest.mark.django_db
def test_the_same_work_on_the_same_thing_is_started_once() -> None:
    assert begin() == begin()
    jobs.run_due_jobs()
    assert Job.objects.count() == 1
    assert begin().state == JobState.WAITING, "what is done may be done again"


@pytest.mark.django_db
def test_paused_work_rests_and_goes_on_where_it_was() -> None:
    ada = make_actor(Role.ENGINEER)
    job = begin(ada)
    do_little(job)
    before = fresh(job).done
    jobs.pause_job(job, actor=ada)
    assert jobs.run_due_jobs() == 0
    assert (fresh(job).state, fresh(job).done) == (JobState.PAUSED, before)
    jobs.resume_job(job, actor=ada)
    assert jobs.run_due_jobs() == 1
    assert fresh(job).done == GOAL
    actions = set(AuditEntry.objects.values_list("action", flat=True))
    assert {"job.pause_wanted", "job.resumed"} <= actions


@pytest.mark.django_db
def test_running_work_ends_its_step_before_it_stops() -> None:
    job = begin()

    def stop_meanwhile(row: Job) -> Step:
        if row.done == 1:
            jobs.stop_job(row, actor=SYSTEM)
            row.refresh_from_db()
        return count_one(row)

    job_kinds.register(KIND, stop_meanwhile)
    assert jobs.run_due_jobs() == 1
    stopped = fresh(job)
    assert (stopped.state, stopped.done) == (JobState.STOPPED, 2)
    with pytest.raises(InvalidStateError):
        jobs.resume_job(job, actor=SYSTEM)


@pytest.mark.django_db
def test_work_that_cannot_be_done_says_why_and_may_be_tried_again() -> None:
    def refuse(job: Job) -> Step:
        raise InvalidError("There is nothing to count.")

    job_kinds.register(KIND, refuse)
    job = begin()
    assert jobs.run_due_jobs() == 1
    assert (fresh(job).state, fresh(job).said) == (JobState.FAILED, "There is nothing to count.")
    job_kinds.register(KIND, count_one)
    jobs.resume_job(fresh(job), actor=SYSTEM)
    jobs.run_due_jobs()
    assert fresh(job).state == JobState.DONE


@pytest.mark.django_db
def test_work_that_kills_its_workers_is_given_up_after_five() -> None:
    job = begin()

    def die(row: Job) -> Step:
        raise KeyboardInterrupt

    job_kinds.register(KIND, die)
    for _ in range(5):
        with pytest.raises(KeyboardInterrupt):
            jobs.run_due_jobs()
        Job.objects.filter(pk=job.pk).update(lease_until=clock.now() - timedelta(hours=1))
    assert jobs.run_due_jobs() == 1
    assert fresh(job).state == JobState.FAILED
    assert "five times" in fresh(job).said


@pytest.mark.django_db
def test_a_worker_that_lost_its_lease_writes_nothing_more() -> None:
    job = begin()

    def lose_the_lease(row: Job) -> Step:
        row.fence = 7  # as after a claim by another worker
        return count_one(row)

    job_kinds.register(KIND, lose_the_lease)
    assert jobs.run_due_jobs() == 0
    held = fresh(job)
    assert (held.fence, held.done, held.state) == (7, 1, JobState.RUNNING)


@pytest.mark.django_db(transaction=True)
def test_many_workers_do_each_step_once() -> None:
    seen: list[int] = []
    lock = threading.Lock()

    def note(row: Job) -> Step:
        with lock:
            seen.append(row.done)
        return count_one(row)

    job_kinds.register(KIND, note)
    names = [f"checkout.stream_{n}" for n in range(4)]
    for name in names:
        jobs.start_job(KIND, ResourceRef("stream", name), actor=SYSTEM, title=name)

    def work(_: int) -> int:
        ended = 0
        try:
            while Job.objects.exclude(state=JobState.DONE).exists():
                ended += jobs.run_due_jobs(budget_seconds=0.01)
            return ended
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(work, range(4))) == len(names)
    assert sorted(seen) == sorted(list(range(GOAL)) * len(names))


@pytest.mark.django_db
def test_only_who_started_it_its_team_and_admins_steer_it() -> None:
    ada, cy = make_actor(Role.ENGINEER), make_actor(Role.ENGINEER)
    job = begin(ada)
    with pytest.raises(NotPermittedError):
        jobs.stop_job(job, actor=cy)
    assert jobs.stop_job(job, actor=make_actor(Role.ADMIN)).state == JobState.STOPPED


@pytest.mark.django_db
def test_work_that_rests_gives_its_worker_back_and_goes_behind_what_waited() -> None:
    order: list[str] = []

    def resting(job: Job) -> Step:
        order.append(job.object_key)
        step = count_one(job)
        rest = job.cursor.get("rest", 0)
        return Step(step.cursor, step.done, GOAL, "", step.is_finished, rest_seconds=rest)

    job_kinds.register(KIND, resting)
    for name in ("first", "second"):
        jobs.start_job(KIND, ResourceRef("stream", name), actor=SYSTEM, title=name)
    assert jobs.run_due_jobs() == 2
    assert order == ["first", "second"] * GOAL

    late = jobs.start_job(KIND, ABOUT, actor=SYSTEM, title="Rests", cursor={"rest": 3600})
    assert jobs.run_due_jobs() == 0
    resting_job = fresh(late)
    assert (resting_job.state, resting_job.done) == (JobState.WAITING, 1)
    assert resting_job.due_at is not None
    assert jobs.stop_job(resting_job, actor=SYSTEM).state == JobState.STOPPED


@pytest.mark.django_db
def test_work_of_a_track_is_done_by_its_own_workers() -> None:
    """However much waits on the experimental track, a worker of production finds its work first."""
    trials = [
        jobs.start_job(
            KIND, ResourceRef("stream", f"trial.{number}"), actor=SYSTEM, title="Count",
            track="experimental",
        )
        for number in range(20)
    ]  # fmt: skip
    job = begin()
    assert jobs.run_due_jobs(track="production") == 1
    assert fresh(job).state == JobState.DONE
    assert {fresh(trial).state for trial in trials} == {JobState.WAITING}
    assert jobs.run_due_jobs(track="experimental") == 20
    assert jobs.run_due_jobs() == 0
