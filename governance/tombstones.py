"""Who was erased, as each process knows it, so that what comes in can be asked against it.

1. A process that hears the channel `portal_catalog` (`listen`) reads the tombstones when it begins
   to, and again on each notice. Asking costs it a look into a dictionary, and never waits.
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
_FIND: Final = sql.load("governance", "find_tombstones")
_PUT: Final = sql.load("governance", "put_tombstones")

_known: dict[bytes, datetime] = {}
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


def load() -> None:
    """Read the tombstones now. UnavailableError (503) when the database does not answer."""
    with _lock:  # so that who asked first does not write last
        rows = aside.run(_FIND, {})
        _keep({bytes(mark): erased_at for mark, erased_at in rows})


def listen() -> None:
    """As `load`, and good until the next notice: for a process that hears the channel already."""
    load()
    hold_for_good(_known)


def hold_for_good(known: Mapping[bytes, datetime]) -> None:
    """Know these until `load` or `forget` is called."""
    global _until  # noqa: PLW0603  # one state of the process, as the connection it hears on
    _keep(known)
    _until = float("inf")


def forget() -> None:
    """Know nothing, and hear nothing; whoever asks next reads."""
    global _until  # noqa: PLW0603  # as above
    with _lock:
        _keep({})
        _until = 0.0


def put(marks: Iterable[bytes], erasure: UUID, erased_at: datetime) -> None:
    """Add tombstones in the present transaction, on whose commit every process reads them.

    Of one that is there already the later moment stays.
    """
    sql.execute(_PUT, {"marks": sorted(marks), "erasure": erasure, "erased_at": erased_at})
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify('portal_catalog', %s)", [NOTICE])
    transaction.on_commit(load, robust=True)  # others are told; what fails here is read anew later


def _keep(found: Mapping[bytes, datetime]) -> None:
    global _known, _until  # noqa: PLW0603  # as above
    _known = dict(found)
    _until = max(_until, time.monotonic() + LIFETIME_SECONDS)
