"""Replaying stored events against a candidate: exact counts, in steps that can be cut."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from catalog import impact
from catalog.impact import ReplayStep
from catalog.models import Producer, Stream
from catalog.services import reports
from catalog.services.changes import Proposal, propose_change
from catalog.services.producers import create_producer
from governance.models import Job
from governance.services import jobs
from ingest.judging.admission import directory, publisher_of
from ingest.judging.pipeline import accept_events
from ingest.log.store import close_writer
from ingest.services import replays
from portal.kernel import clock
from portal.kernel.actor import SYSTEM
from portal.kernel.errors import InvalidError
from tests.support.factories import make_stream

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"n": {"type": "integer"}, "note": {"type": "string"}},
    "required": ["n"],
}
BELOW_TEN: dict[str, Any] = {
    "type": "object",
    "properties": {"n": {"type": "integer", "maximum": 9}, "note": {"type": "string"}},
    "required": ["n"],
}
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def stream() -> Iterator[Stream]:
    directory.forget_all()
    yield make_stream("testing.counted", schema=SCHEMA)
    close_writer()
    directory.forget_all()


def send(stream: Stream, producer: Producer, numbers: range, **extra: Any) -> None:
    now = clock.now()
    answer = accept_events(
        [
            {
                "specversion": "1.0", "id": f"{producer.name}-{n}", "source": "/test",
                "type": stream.name, "time": (now - timedelta(minutes=n)).isoformat(),
                "data": {"n": n, **extra},
            }
            for n in numbers
        ],
        publisher=publisher_of(producer),
    )  # fmt: skip
    assert answer["accepted"] == len(numbers)


def run(stream: Stream, document: dict[str, Any], *, budget: float = 1.0) -> list[ReplayStep]:
    """Every step of a whole replay."""
    steps: list[ReplayStep] = []
    cursor: Any = {}
    tally: Any = {}
    while not steps or not steps[-1].is_finished:
        step = replays.replay_step(
            stream, document, cursor=cursor, tally=tally, budget_seconds=budget
        )
        cursor, tally = step.cursor, step.tally
        steps.append(step)
    return steps


def test_a_sample_comes_first_and_then_every_event(stream: Stream) -> None:
    web = create_producer("web", actor=SYSTEM, streams=[stream])
    send(stream, web, range(30))
    first, *_, last = run(stream, BELOW_TEN)
    assert first.tally["phase"] == "sample"
    assert last.tally["phase"] == "exact"
    assert (last.tally["checked"], last.tally["refused"], last.tally["total"]) == (30, 20, 30)
    assert last.tally["producers"] == {"web": {"checked": 30, "refused": 20}}
    assert last.tally["versions"] == {"1": {"checked": 30, "refused": 20}}
    assert last.tally["places"] == {
        "maximum /data/n": {
            "events": 20, "detail": "must be at most 9", "producers": {"web": 20},
        }
    }  # fmt: skip
    assert sum(day["checked"] for day in last.tally["days"].values()) == 30
    assert len(last.tally["samples"]) == replays.MAX_SAMPLES
    sample = last.tally["samples"][0]
    assert sample["errors"][0]["pointer"] == "/data/n"
    assert "29" not in str(sample["errors"]), "a place and a rule, never a value"


def test_a_replay_that_is_cut_after_each_batch_counts_the_same(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(stream, create_producer("web", actor=SYSTEM, streams=[stream]), range(30))
    whole = run(stream, BELOW_TEN)[-1].tally
    monkeypatch.setattr(replays, "BATCH", 7)
    cut = run(stream, BELOW_TEN, budget=0.000001)
    assert len(cut) > 4, "each step read one batch"
    for name in ("checked", "refused", "producers", "places"):
        assert cut[-1].tally[name] == whole[name]


def test_a_replay_that_is_paused_and_one_whose_step_died_count_each_event_once(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(stream, create_producer("web", actor=SYSTEM, streams=[stream]), range(30))
    monkeypatch.setattr(replays, "BATCH", 4)
    monkeypatch.setattr(reports, "STEP_SECONDS", 0.000001)
    change = propose_change(stream, Proposal(BELOW_TEN), actor=SYSTEM)
    job = Job.objects.get(kind="catalog.change_report")
    while Job.objects.get(pk=job.pk).done < 8:
        jobs.run_due_jobs(budget_seconds=0.000001)
    jobs.pause_job(job, actor=SYSTEM)
    assert jobs.run_due_jobs() == 0
    at_rest = Job.objects.get(pk=job.pk)
    assert 8 <= at_rest.done < 30
    jobs.resume_job(job, actor=SYSTEM)
    real = impact.replayer()
    assert real is not None

    def dies_after_counting(*args: Any, **options: Any) -> ReplayStep:
        real(*args, **options)
        raise InvalidError("The worker died.")

    impact.register_replayer(dies_after_counting)
    try:
        jobs.run_due_jobs()
    finally:
        impact.register_replayer(real)
    failed = Job.objects.get(pk=job.pk)
    assert (failed.state, failed.done, failed.cursor) == ("failed", at_rest.done, at_rest.cursor)
    jobs.resume_job(job, actor=SYSTEM)
    while Job.objects.get(pk=job.pk).state != "done":
        assert jobs.run_due_jobs() == 1
    assert Job.objects.get(pk=job.pk).cursor == {}, "it named an event, whose id may be a name"
    change.refresh_from_db()
    assert (change.replay["checked"], change.replay["refused"]) == (30, 20)
    assert change.replay["places"]["maximum /data/n"]["events"] == 20


def test_test_producers_and_other_streams_are_left_out(stream: Stream) -> None:
    send(stream, create_producer("web", actor=SYSTEM, streams=[stream]), range(5))
    trial = create_producer("trial", actor=SYSTEM, streams=[stream])
    Producer.objects.filter(pk=trial.pk).update(is_test=True)
    send(stream, trial, range(5, 12))
    other = make_stream("testing.other", schema=SCHEMA)
    send(other, Producer.objects.get(name="web"), range(20, 25))
    assert run(stream, BELOW_TEN)[-1].tally["producers"] == {"web": {"checked": 5, "refused": 0}}


def test_events_are_judged_as_they_came_with_what_was_set_aside(stream: Stream) -> None:
    send(stream, create_producer("web", actor=SYSTEM, streams=[stream]), range(3), extra=1)
    closed = {**SCHEMA, "additionalProperties": False}
    assert run(stream, SCHEMA)[-1].tally["refused"] == 0
    assert run(stream, closed)[-1].tally["refused"] == 3


def test_a_stream_without_events_is_answered_at_once(stream: Stream) -> None:
    steps = run(stream, BELOW_TEN)
    assert [(step.total, step.is_finished) for step in steps] == [(0, True)]
