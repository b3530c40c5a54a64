"""Work is handed to the portal's own broker from every kind of process."""

import os
import subprocess
import sys
from typing import Any

import pytest
import redis
from django.conf import settings
from kombu.utils.scheduling import cycle_by_name

from catalog.types import Track
from portal.kernel import jobs

QUEUE = "experimental"


@pytest.mark.django_db
def test_an_enqueued_task_waits_in_its_queue(
    django_capture_on_commit_callbacks: object,
) -> None:
    broker = redis.Redis.from_url(settings.REDIS_URL)
    before = broker.llen(QUEUE)
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]  # a fixture
        jobs.enqueue("experiments.analyse_one", experiment_id=0)
    assert broker.llen(QUEUE) == before + 1
    broker.delete(QUEUE)


def test_a_command_that_knows_nothing_of_celery_uses_our_broker() -> None:
    script = (
        "import django; django.setup();"
        "from celery import current_app; print(current_app.main, current_app.conf.broker_url)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=os.environ, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["portal", settings.REDIS_URL]


@pytest.mark.django_db
def test_work_on_an_experimental_stream_waits_in_the_experimental_queue(
    django_capture_on_commit_callbacks: object,
) -> None:
    broker = redis.Redis.from_url(settings.REDIS_URL)
    queues = ("bulk", QUEUE)
    sent: dict[str, list[int]] = {}
    for track in Track:
        before = [broker.llen(queue) for queue in queues]
        with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]  # a fixture
            jobs.enqueue("governance.run_jobs", track=track.value)
        now = [broker.llen(queue) for queue in queues]
        sent[track.value] = [after - had for after, had in zip(now, before, strict=True)]
    assert sent == {"production": [1, 0], "experimental": [0, 1]}
    broker.delete(*queues)


def test_what_is_done_stream_by_stream_is_scheduled_once_a_track() -> None:
    found: dict[str, list[tuple[object, object]]] = {}
    for entry in settings.CELERY_BEAT_SCHEDULE.values():
        kwargs, options = entry.get("kwargs"), entry.get("options")
        if isinstance(kwargs, dict) and isinstance(options, dict):
            found.setdefault(str(entry["task"]), []).append((kwargs["track"], options.get("queue")))
    assert set(found) == {
        "governance.run_jobs", "quality.run_checks", "quality.learn_baselines",
        "ingest.suspect_personal",
    }  # fmt: skip
    for pairs in found.values():
        assert pairs == [("production", None), ("experimental", "experimental")]


def test_a_worker_of_all_queues_looks_into_the_experimental_one_last() -> None:
    named = settings.CELERY_BROKER_TRANSPORT_OPTIONS["queue_order_strategy"]
    order: Any = cycle_by_name(str(named))()
    order.update(["system", QUEUE, "bulk"])
    assert order.consume(3) == ["system", "bulk", QUEUE]
    order.rotate("system")
    assert order.consume(3) == ["bulk", "system", QUEUE], "the others take turns"
    order.rotate(QUEUE)
    assert order.consume(3)[-1] == QUEUE
