"""Sending the audit log to the receivers that the settings name: every row, in order, at least once.

1. A process takes the outlet with a lease and a fence; another finds it taken and does nothing.
2. It reads the next rows as they are committed. The chain hands numbers out in the order of commits,
   so what stands behind the newest number that is seen is whole; rows that lack one are not sent.
3. It sends them, outside any transaction, and moves the offset once the receiver took them. One that
   dies in between has them sent again: a row that comes twice has the same number and hash.
4. What failed is said on the page and in the log, and tried again after 30 s, 1 min, 2 min … 15 min.

A process that was stopped for longer than its lease may send rows again behind newer ones; it cannot
move the offset.
"""

import logging
import time
from datetime import timedelta
from typing import Final

from governance.models import AuditEntry, AuditOutlet
from governance.outlets import MOST_BYTES, NotTakenError, Outlet, configured
from portal.kernel import sql
from portal.kernel.failpoints import failpoint

logger = logging.getLogger(__name__)

MOST_ROWS: Final = 500
LEASE: Final = timedelta(seconds=60)
BUDGET_SECONDS: Final = 20.0
LEAST_WAIT: Final = timedelta(seconds=30)
MOST_WAIT: Final = timedelta(minutes=15)
_CLAIM: Final = sql.load("governance", "claim_outlet")
_MOVE: Final = sql.load("governance", "move_outlet")
_RELEASE: Final = sql.load("governance", "release_outlet")
_PARTS_BYTES: Final = 700  # of a row beside its texts, in either form


def send_audit_out(*, budget_seconds: float = BUDGET_SECONDS) -> int:
    """Send what is new to every receiver that is due; gives how many rows were taken."""
    outlets = configured()
    return sum(_send_to(each, budget_seconds / len(outlets)) for each in outlets)


def _send_to(outlet: Outlet, budget_seconds: float) -> int:
    until = time.monotonic() + budget_seconds
    AuditOutlet.objects.bulk_create(
        [AuditOutlet(key=outlet.key, label=outlet.label)], ignore_conflicts=True
    )
    held = sql.fetch_one(_CLAIM, {"key": outlet.key, "lease": LEASE})
    if held is None:
        return 0
    fence, upto, sent, error = int(held["fence"]), int(held["upto_seq"]), 0, ""
    try:
        while time.monotonic() < until and (rows := _rows_after(upto)):
            outlet.send(rows)
            failpoint("audit.after_send")
            last = rows[-1].seq
            if not _move(outlet, fence, before=upto, upto=last):
                return sent
            upto, sent = last, sent + len(rows)
    except NotTakenError as failure:
        error = str(failure)[:200]
        logger.warning("the audit log was not taken by %s: %s", outlet.label, error)
    sql.execute(
        _RELEASE,
        {
            "key": outlet.key, "fence": fence, "error": error,
            "least": LEAST_WAIT, "most": MOST_WAIT,
        },
    )  # fmt: skip
    return sent


def _move(outlet: Outlet, fence: int, *, before: int, upto: int) -> bool:
    moved = sql.execute(
        _MOVE,
        {"key": outlet.key, "fence": fence, "before": before, "upto": upto, "lease": LEASE},
    )
    if not moved:
        logger.warning("another process sends the audit log to %s by now", outlet.label)
    return bool(moved)


def _rows_after(upto: int) -> list[AuditEntry]:
    """The next rows, as many as one batch holds. Raises NotTakenError where one is missing."""
    rows: list[AuditEntry] = []
    size = 0
    for row in AuditEntry.objects.filter(seq__gt=upto).order_by("seq")[:MOST_ROWS]:
        if row.seq != upto + len(rows) + 1:
            if rows:
                break  # those before it are sent; the next turn says what is missing
            raise NotTakenError(
                f"Row {upto + 1} is missing from the log; nothing behind it is sent."
            )
        size += len(str(row.detail)) + len(row.summary) + _PARTS_BYTES
        if rows and size > MOST_BYTES:
            break
        rows.append(row)
    return rows
