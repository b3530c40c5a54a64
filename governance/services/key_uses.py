"""What keys sent and were refused: counts by minute, kept for three days; no decision reads them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import psycopg

from governance.models import KeyMinute
from portal.kernel import clock, sql

KEPT: Final = timedelta(days=3)
_ADD: Final = sql.load("governance", "add_key_uses")


def add_uses(
    connection: psycopg.Connection[Any], counts: Mapping[tuple[str, int], Sequence[int]]
) -> None:
    """Add counts in the open transaction of a connection.

    By key and minute (Unix time / 60): events, and requests refused by the key's quota, by a
    stream's, and for want of room.
    """
    places = list(counts)
    events, quota_key, quota_stream, busy = (list(c) for c in zip(*counts.values(), strict=True))
    connection.execute(
        _ADD,
        {
            "keys": [key for key, _ in places],
            "minutes": [datetime.fromtimestamp(minute * 60, UTC) for _, minute in places],
            "events": events,
            "quota_key": quota_key,
            "quota_stream": quota_stream,
            "busy": busy,
        },
    )


def forget_old_uses() -> int:
    """Delete counts older than three days; gives how many."""
    deleted, _ = KeyMinute.objects.filter(minute__lt=clock.now() - KEPT).delete()
    return deleted
