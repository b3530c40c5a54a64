"""Runs of the keepers of storage: one at a time, each with what it did or why it could not.

Their work is safe to cut anywhere and to do again; that one runs at a time spares it doing things
twice. The row also is what the storage page says of them.
"""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from ingest.models import StorageRun
from portal.kernel import clock
from portal.kernel.errors import ConflictError

logger = logging.getLogger(__name__)
LONGEST_SILENCE: Final = timedelta(minutes=2)
KEPT: Final = timedelta(days=30)
BUDGET_SECONDS: Final = 150.0
_BEAT_SECONDS: Final = 1.0


class BusyError(ConflictError):
    """Another keeper of storage runs now."""

    code = "storage_busy"
    title = "Storage is busy"


class Run:
    """A run under way. `result` is kept when it ends."""

    def __init__(self, row_id: int, budget_seconds: float) -> None:
        self._id = row_id
        self._until = time.monotonic() + budget_seconds
        self._beaten_at = float("-inf")
        self.result: dict[str, Any] = {}

    @property
    def has_time(self) -> bool:
        return time.monotonic() < self._until

    def beat(self) -> None:
        """Say that it lives, once a second at most, as each time is a commit. Raises BusyError when it
        was taken for dead and replaced."""
        if time.monotonic() - self._beaten_at < _BEAT_SECONDS:
            return
        self._beaten_at = time.monotonic()
        alive = StorageRun.objects.filter(pk=self._id, finished_at=None)
        if not alive.update(alive_at=Now(), result=self.result):
            raise BusyError("This run was taken for dead; another goes on.")

    def hold(self) -> None:
        """For the present transaction, keep anybody from taking this run for dead. Raises BusyError when
        that happened: another may have tidied up behind it."""
        alive = StorageRun.objects.select_for_update().filter(pk=self._id, finished_at=None)
        if not alive.exists():
            raise BusyError("This run was taken for dead; another goes on.")

    def add(self, name: str, count: int) -> None:
        """Add to a count of the result, which is kept with the next `beat` and at the end."""
        self.result[name] = self.result.get(name, 0) + count


@contextmanager
def begin(kind: str, *, budget_seconds: float = BUDGET_SECONDS) -> Iterator[Run]:
    """Within the block this process keeps storage. Raises BusyError while another does."""
    StorageRun.objects.filter(finished_at=None, alive_at__lt=Now() - LONGEST_SILENCE).update(
        finished_at=clock.now(), failure="It ended without a word."
    )
    try:
        with transaction.atomic():
            row = StorageRun.objects.create(kind=kind, alive_at=Now())
    except IntegrityError as error:
        raise BusyError("Another job keeps storage at this moment.") from error
    run = Run(row.pk, budget_seconds)
    failure = "It was stopped."
    try:
        yield run
        failure = ""
    except Exception as error:
        failure = f"{type(error).__name__}: {error}"[:500]
        raise
    finally:
        StorageRun.objects.filter(pk=row.pk, finished_at=None).update(
            finished_at=clock.now(), result=run.result, failure=failure
        )


def last_result(kind: str) -> Mapping[str, Any]:
    """What the last finished run of a kind kept; empty when there is none."""
    rows = StorageRun.objects.filter(kind=kind, failure="").exclude(finished_at=None)
    found = rows.order_by("-id").first()
    return found.result if found is not None else {}


def forget_old_runs() -> int:
    """Delete the rows of runs that ended more than 30 days ago; gives how many."""
    return StorageRun.objects.filter(finished_at__lt=clock.now() - KEPT).delete()[0]
