"""Rolling the event log up into counts: exactly once, by committing output and offset together.

1. The reader's offset row is locked; who finds it locked leaves the work to the other.
2. The horizon is read: the oldest transaction still running. Whatever lies below it is settled.
3. A span of whole transactions after the offset and below the horizon is counted. Its length
   follows the density of the log, so that a step costs the same however long the log behind it.
   A span that grew because there was nothing says little of what comes: it is probed before.
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
# How much longer a span may be than the one before, how many times `batch` a guessed one may hold,
# and how much shorter it becomes where it holds more.
_GROWTH: Final = 4
_SURPRISE: Final = 4
_SHRINK: Final = 16
END_OF_TX: Final = (1 << 63) - 1
_HORIZON: Final = sql.load("analytics", "read_horizon")
_EXCEEDS: Final = sql.load("analytics", "span_exceeds")
_ROLL_UP: Final = sql.load("analytics", "roll_up_counts")


@dataclass(frozen=True, slots=True)
class Step:
    """What one span gave: events read, whether the horizon was reached, and the next length."""

    read: int
    is_last: bool
    span: int
    is_guess: bool = False  # the length is not from a density


def roll_up(
    *,
    batch: int = BATCH,
    budget_seconds: float = BUDGET_SECONDS,
    first_span: int = FIRST_SPAN,
) -> int:
    """Count every event that is readable by now; gives how many were read.

    A step is to read `batch` events. The first, of `first_span` transactions, may read more, and so
    may one where the log grows dense: a transaction is never cut, and holds 5,000 at most.

    Stops after the budget; the next call goes on where this one stopped. Of two at once, one counts
    and the other gives 0, so nothing is counted twice.
    """
    ReaderOffset.objects.get_or_create(reader=STREAM_COUNTS)
    until = time.monotonic() + budget_seconds
    total, step = 0, Step(0, is_last=False, span=first_span)
    while True:
        step = _step(batch, step)
        total += step.read
        if step.is_last or time.monotonic() >= until:
            return total


@transaction.atomic
def _step(batch: int, before: Step) -> Step:
    offset = (
        ReaderOffset.objects.select_for_update(skip_locked=True)
        .filter(reader=STREAM_COUNTS)
        .first()
    )
    if offset is None:
        return Step(0, is_last=True, span=before.span)
    horizon = sql.fetch_one(_HORIZON)
    assert horizon is not None
    settled = horizon["tx"] - 1
    last_tx = min(offset.tx + before.span, settled)
    if before.is_guess and _exceeds(offset.tx, last_tx, _SURPRISE * batch):
        return Step(0, is_last=False, span=max(1, before.span // _SHRINK), is_guess=before.span > 1)
    row = sql.fetch_one(_ROLL_UP, {"tx": offset.tx, "seq": offset.seq, "last_tx": last_tx})
    assert row is not None
    read, is_last = int(row["read"]), last_tx >= settled
    if read:
        note_last_events(_times(row["newest"]))
    if read or not is_last:  # everything up to there is settled and read
        offset.tx, offset.seq, offset.moved_at = last_tx, END_OF_TX, clock.now()
        offset.save(update_fields=["tx", "seq", "moved_at"])
    wanted = before.span * batch // read if read else MAX_SPAN
    span = min(max(1, wanted), _GROWTH * before.span, MAX_SPAN)
    return Step(read, is_last=is_last, span=span, is_guess=not read)


def _exceeds(tx: int, last_tx: int, most: int) -> bool:
    row = sql.fetch_one(_EXCEEDS, {"tx": tx, "last_tx": last_tx, "most": most})
    assert row is not None
    return bool(row["exceeds"])


def _times(newest: str | dict[str, str]) -> dict[int, datetime]:
    by_stream = json.loads(newest) if isinstance(newest, str) else newest
    return {int(stream_id): datetime.fromisoformat(at) for stream_id, at in by_stream.items()}
