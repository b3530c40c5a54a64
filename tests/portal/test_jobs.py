"""Work is handed to the portal's own broker from every kind of process."""

import os
import subprocess
import sys

import pytest
import redis
from django.conf import settings

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
