"""Rolling the event log up into counts: exactly once, by committing output and offset together."""

import json
import time
from datetime import datetime
from typing import Final

from django.db import transaction

from analytics.models import ReaderOffset
from analytics.types import STREAM_COUNTS
from catalog.services.observations import note_last_events
from portal.kernel import clock, sql

BATCH: Final = 20_000
BUDGET_SECONDS: Final = 20.0
_ROLL_UP: Final = sql.load("analytics", "roll_up_counts")


def roll_up(*, batch: int = BATCH, budget_seconds: float = BUDGET_SECONDS) -> int:
    """Count every event that is readable by now; gives how many were read.

    Stops after the budget; the next call goes on where this one stopped. Two at once wait for
    each other on the offset row, so nothing is counted twice.
    """
    ReaderOffset.objects.get_or_create(reader=STREAM_COUNTS)
    until = time.monotonic() + budget_seconds
    total = 0
    while True:
        read = _step(batch)
        total += read
        if read < batch or time.monotonic() >= until:
            return total


@transaction.atomic
def _step(batch: int) -> int:
    offset = ReaderOffset.objects.select_for_update().get(reader=STREAM_COUNTS)
    row = sql.fetch_one(_ROLL_UP, {"tx": offset.tx, "seq": offset.seq, "batch": batch})
    assert row is not None
    if row["read"]:
        ReaderOffset.objects.filter(reader=STREAM_COUNTS).update(
            tx=row["tx"], seq=row["seq"], moved_at=clock.now()
        )
        note_last_events(_times(row["newest"]))
    return int(row["read"])


def _times(newest: str | dict[str, str]) -> dict[int, datetime]:
    by_stream = json.loads(newest) if isinstance(newest, str) else newest
    return {int(stream_id): datetime.fromisoformat(at) for stream_id, at in by_stream.items()}
