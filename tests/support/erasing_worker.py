"""A worker in a process of its own, which a failpoint kills in the midst of an erasure.

It begins without Django: the process that starts it hands over this module alone.
"""

from datetime import datetime
from pathlib import Path


def work(database: str, places: dict[str, str], failpoint: str, moment: datetime) -> None:
    """The worker's process: armed, it does what is due until it is killed."""
    import django

    django.setup()
    from django.conf import settings

    from governance import erasing
    from governance.services.jobs import run_due_jobs
    from portal.kernel import clock, failpoints
    from tests.support.erasing import Guestbook

    settings.DATABASES["default"]["NAME"] = database
    for name, place in places.items():
        setattr(settings, name, Path(place))
    erasing.register(Guestbook())
    failpoints.arm(failpoint, allowed=True)
    with clock.at(moment):
        run_due_jobs()
