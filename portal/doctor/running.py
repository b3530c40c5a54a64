"""Checks of what runs beside the web: workers, and the beat that gives them the scheduled work."""

from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings
from kombu.exceptions import OperationalError

from governance.selectors.audit_out import outlet_states
from ingest.models import StorageRun
from portal.celery import app
from portal.doctor.types import Finding, fail, ok, warn
from portal.kernel import clock
from portal.production import is_this_machine

_SECONDS: Final = 2.0
# Sizes are measured every ten minutes: the plainest trace that scheduled work is given and done.
SCHEDULED_WITHIN: Final = timedelta(minutes=30)
SENT_WITHIN: Final = timedelta(minutes=5)


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


def audit_out() -> Finding:
    """Whether every receiver of the audit log takes it, and nobody on the way can read or lose it."""
    found = outlet_states()
    if not found:
        return ok("the audit log is not sent anywhere")
    late = clock.now() - SENT_WITHIN
    for one in found:
        if one.waiting_since is None or one.waiting_since >= late:
            continue
        if one.error:
            return fail(
                f"{one.label} took rows up to #{one.upto} and nothing since: {one.error}",
                "Mend the receiver or its address; the rows wait. See docs/audit.md.",
            )
        return warn(
            f"{one.waiting} rows wait for {one.label}",
            "Look at beat and at the worker of the queue `bulk`.",
        )
    for one in found:
        url = urlsplit(one.label)
        if url.scheme in {"udp", "tcp"} and not is_this_machine(url.hostname or ""):
            return warn(f"{one.label}: it passes the network in clear", "Use tls:// or https://.")
    return ok("; ".join(f"{one.label} has it up to #{one.upto}" for one in found))


def beat() -> Finding:
    newest = StorageRun.objects.order_by("-started_at").values_list("started_at", flat=True).first()
    todo = "Start one beat, and a worker for the queue `bulk`."
    if newest is None:
        return warn("no scheduled work was done yet", todo)
    age = clock.now() - newest
    said = f"scheduled work was done {int(age.total_seconds() // 60)} minutes ago"
    return ok(said) if age < SCHEDULED_WITHIN else fail(said, todo)
