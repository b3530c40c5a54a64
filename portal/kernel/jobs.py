"""Handing work to the workers by name, after the transaction that asked for it has committed.

Services call `enqueue("app.task", key=value)`; they never import tasks. A message may be lost
between commit and broker: what matters also stands in a table that a periodic sweep reads, so a
lost message costs time, not data.

Work on streams of the experimental track is sent with `track="experimental"` and goes to a queue of its
own, whatever the task: production's never waits behind it.
"""

import logging
from typing import Final

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)

EXPERIMENTAL: Final = "experimental"  # the track, and the name of its queue


def enqueue(task: str, /, **kwargs: str | int | bool | None) -> None:
    """Send a task on commit (at once outside a transaction). Arguments are ids and texts only."""
    transaction.on_commit(lambda: _send(task, kwargs))


def enqueue_in(seconds: float, task: str, /, **kwargs: str | int | bool | None) -> None:
    """The same, to be done after so long; a few seconds at most, as the message waits in a worker."""
    transaction.on_commit(lambda: _send(task, kwargs, after=seconds))


def _send(
    task: str, kwargs: dict[str, str | int | bool | None], after: float | None = None
) -> None:
    queue = EXPERIMENTAL if kwargs.get("track") == EXPERIMENTAL else None
    try:
        current_app.send_task(
            task, kwargs=kwargs, countdown=after, queue=queue, ignore_result=True, retry=False
        )
    except OperationalError:
        logger.warning("broker unreachable, the sweep will pick it up", extra={"task": task})
