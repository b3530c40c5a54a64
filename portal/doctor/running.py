"""Checks of what runs beside the web: workers, and the beat that gives them the scheduled work."""

from datetime import timedelta
from typing import Final

from django.conf import settings
from kombu.exceptions import OperationalError

from ingest.models import StorageRun
from portal.celery import app
from portal.doctor.types import Finding, fail, ok, warn
from portal.kernel import clock

_SECONDS: Final = 2.0
# Sizes are measured every ten minutes: the plainest trace that scheduled work is given and done.
SCHEDULED_WITHIN: Final = timedelta(minutes=30)


def workers() -> Finding:
    """Whether each queue is taken from."""
    try:
        found = app.control.inspect(timeout=_SECONDS).active_queues() or {}
    except OperationalError as error:
        return fail(f"they cannot be asked: {error}", "Mend Redis first.")
    taken = {queue["name"] for queues in found.values() for queue in queues}
    missing = [name for name in settings.CELERY_TASK_QUEUES_NAMES if name not in taken]
    if missing:
        return fail(f"nobody takes from {', '.join(missing)}", "Start a worker for each queue.")
    return ok(f"all {len(taken)} queues are taken from ({len(found)} running)")


def beat() -> Finding:
    newest = StorageRun.objects.order_by("-started_at").values_list("started_at", flat=True).first()
    todo = "Start one beat, and a worker for the queue `bulk`."
    if newest is None:
        return warn("no scheduled work was done yet", todo)
    age = clock.now() - newest
    said = f"scheduled work was done {int(age.total_seconds() // 60)} minutes ago"
    return ok(said) if age < SCHEDULED_WITHIN else fail(said, todo)
