"""Rolling the event log up into counts: exactly once, by committing output and offset together.

1. The reader's offset row is locked; who finds it locked leaves the work to the other.
2. The horizon is read: the oldest transaction still running. Whatever lies below it is settled.
3. A batch after the offset is counted, within a span of transactions below the horizon. The span
   follows the density of the log, so that a step costs the same however long the log behind it.
4. The offset moves in the same transaction: a crash before its commit undoes both.
"""

import json
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import transaction

from analytics.models import ReaderOffset
from analytics.types import STREAM_COUNTS
from catalog.services.observations import note_last_events
from portal.kernel import clock, sql

BATCH: Final = 20_000
BUDGET_SECONDS: Final = 20.0
FIRST_SPAN: Final = 256
MAX_SPAN: Final = 1 << 40
END_OF_TX: Final = (1 << 63) - 1
_HORIZON: Final = sql.load("analytics", "read_horizon")
_ROLL_UP: Final = sql.load("analytics", "roll_up_counts")


@dataclass(frozen=True, slots=True)
class Step:
    """What one batch did: events read, whether the horizon was reached, and the next span."""

    read: int
    is_last: bool
    span: int


def roll_up(*, batch: int = BATCH, budget_seconds: float = BUDGET_SECONDS) -> int:
    """Count every event that is readable by now; gives how many were read.

    Stops after the budget; the next call goes on where this one stopped. Of two at once, one
    counts and the other gives 0, so nothing is counted twice.
    """
    ReaderOffset.objects.get_or_create(reader=STREAM_COUNTS)
    until = time.monotonic() + budget_seconds
    total, span = 0, FIRST_SPAN
    while True:
        step = _step(batch, span)
        total += step.read
        span = step.span
        if step.is_last or time.monotonic() >= until:
            return total


@transaction.atomic
def _step(batch: int, span: int) -> Step:
    offset = (
        ReaderOffset.objects.select_for_update(skip_locked=True)
        .filter(reader=STREAM_COUNTS)
        .first()
    )
    if offset is None:
        return Step(0, is_last=True, span=span)
    horizon = sql.fetch_one(_HORIZON)
    assert horizon is not None
    settled = horizon["tx"] - 1
    last_tx = min(offset.tx + span, settled)
    row = sql.fetch_one(
        _ROLL_UP, {"tx": offset.tx, "seq": offset.seq, "last_tx": last_tx, "batch": batch}
    )
    assert row is not None
    read = int(row["read"])
    if read:
        note_last_events(_times(row["newest"]))
    if read == batch:
        _move(row["tx"], row["seq"])
        return Step(read, is_last=False, span=2 * (row["tx"] - offset.tx) + 1)
    if last_tx < settled:
        _move(last_tx, END_OF_TX)  # everything up to there is settled and read
        return Step(read, is_last=False, span=min(4 * span, MAX_SPAN))
    if read:
        _move(row["tx"], row["seq"])
    return Step(read, is_last=True, span=span)


def _move(tx: int, seq: int) -> None:
    ReaderOffset.objects.filter(reader=STREAM_COUNTS).update(tx=tx, seq=seq, moved_at=clock.now())


def _times(newest: str | dict[str, str]) -> dict[int, datetime]:
    by_stream = json.loads(newest) if isinstance(newest, str) else newest
    return {int(stream_id): datetime.fromisoformat(at) for stream_id, at in by_stream.items()}
