"""Jobs reach the broker that the settings name, from whatever process or thread asks for them."""

import json
import threading

import pytest
import redis
from django.conf import settings
from django.db import connection

from portal.kernel import jobs


def ask() -> None:
    try:
        jobs.enqueue("experiments.analyse_one", experiment_id=7)
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_a_job_is_queued_where_the_workers_listen() -> None:
    queue = settings.CELERY_TASK_ROUTES["experiments.*"]["queue"]
    with redis.Redis.from_url(settings.REDIS_URL) as broker:
        broker.delete(queue)
        # A page is answered in a thread of its own.
        asking = threading.Thread(target=ask)
        asking.start()
        asking.join(10)
        assert not asking.is_alive(), "a job never keeps a page waiting"
        (message,) = broker.lrange(queue, 0, -1)
        assert json.loads(message)["headers"]["task"] == "experiments.analyse_one"
        broker.delete(queue)
