"""Who was erased, as each process knows it, so that what comes in can be asked against it.

1. A process that hears the channel `portal_catalog` (`listen`) reads the tombstones when it begins
   to, again on each notice, and every few seconds: a notice may be lost on the way, with a connection
   that nobody knows to be dead. Asking costs it a look into a dictionary, and never waits. Once it hears
   nothing any more (`doubt`) it is like any other.
2. Any other process reads them anew when what it knows is a second old; that blocks on the database.
3. What was known stays known while the database is away: nothing can be written then either.
"""

import threading
import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import connection, transaction

from governance.privacy import aside
from portal.kernel import sql

NOTICE: Final = "erased"  # told on the channel `portal_catalog` when somebody was erased
LIFETIME_SECONDS: Final = 1.0  # of what a process knows that does not listen
RELOAD_SECONDS: Final = 5.0  # after so long one that listens reads them though nobody told
_FIND: Final = sql.load("governance", "find_tombstones")
_PUT: Final = sql.load("governance", "put_tombstones")

_known: dict[bytes, datetime] = {}
_running: frozenset[bytes] = frozenset()  # those of them whose erasure is not done yet
_until = 0.0  # on the monotonic clock; what is known is good for so long
_lock: Final = threading.Lock()


def any_erased() -> bool:
    """Whether anybody ever was; while nobody was, no mark need be made."""
    if _until < time.monotonic():
        load()
    return bool(_known)


def erased_until(mark: bytes) -> datetime | None:
    """Up to when what happened to the identifier of this mark (`erasing.mark_of`) is refused for
    good; None when it was never erased.
    """
    if _until < time.monotonic():
        load()
    return _known.get(mark)


def is_running(mark: bytes) -> bool:
    """Whether the erasure of this mark is still under way: until then what stood for the person (a token)
    still does, and nobody begins afresh. Asked after `erased_until`."""
    return mark in _running


def load() -> None:
    """Read the tombstones now. UnavailableError (503) when the database does not answer."""
    with _lock:  # so that who asked first does not write last
        rows = aside.run(_FIND, {})
        _keep(
            {bytes(mark): erased_at for mark, erased_at, _ in rows},
            frozenset(bytes(mark) for mark, _, is_running in rows if is_running),
        )


def listen() -> None:
    """As `load`, and good until the next notice or `doubt`: for a process that hears the channel already,
    and calls `load` every RELOAD_SECONDS as well."""
    load()
    _hold()


def hold_for_good(known: Mapping[bytes, datetime]) -> None:
    """Know these until `load` or `forget` is called."""
    _keep(known, frozenset())
    _hold()


def _hold() -> None:
    global _until  # noqa: PLW0603  # one state of the process, as the connection it hears on
    _until = float("inf")


def doubt() -> None:
    """Keep what is known, and read anew when next asked: the process hears no notices for now."""
    global _until  # noqa: PLW0603  # as above
    _until = 0.0


def forget() -> None:
    """Know nothing, and hear nothing; whoever asks next reads."""
    global _until  # noqa: PLW0603  # as above
    with _lock:
        _keep({}, frozenset())
        _until = 0.0


def put(marks: Iterable[bytes], erasure: UUID, erased_at: datetime) -> None:
    """Add tombstones in the present transaction, on whose commit every process reads them.

    Of one that is there already the later moment stays.
    """
    sql.execute(_PUT, {"marks": sorted(marks), "erasure": erasure, "erased_at": erased_at})
    tell()


def tell() -> None:
    """Have every process read them once the present transaction has committed."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify('portal_catalog', %s)", [NOTICE])
    transaction.on_commit(load, robust=True)  # others are told; what fails here is read anew later


def _keep(found: Mapping[bytes, datetime], running: frozenset[bytes]) -> None:
    global _known, _running, _until  # noqa: PLW0603  # as above
    _known, _running = dict(found), running
    _until = max(_until, time.monotonic() + LIFETIME_SECONDS)
