"""The one source of the present, so that tests and the demo's history can set it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_set: ContextVar[datetime | None] = ContextVar("portal_clock", default=None)


def now() -> datetime:
    """The present moment, aware, in UTC."""
    return _set.get() or datetime.now(UTC)


def now_us() -> int:
    """The present in microseconds since 1970."""
    moment = _set.get()
    if moment is None:
        return time.time_ns() // 1000
    return (moment - _EPOCH) // timedelta(microseconds=1)


@contextmanager
def at(moment: datetime) -> Iterator[None]:
    """Within the block `now()` is that moment, in this thread or task."""
    token = _set.set(moment)
    try:
        yield
    finally:
        _set.reset(token)
