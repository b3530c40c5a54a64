"""A connection of this process beside the ORM's: what it is asked is committed at once.

So what a cache of the process holds is what everybody's database holds, whatever becomes of a
transaction around the question.
"""

import os
import threading
from collections.abc import Mapping
from typing import Any, Final

import psycopg
from django.db import connections

from portal.kernel.errors import UnavailableError
from portal.kernel.sql import Statement

_lock: Final = threading.Lock()
_open: dict[int, psycopg.Connection[Any]] = {}


def run(statement: Statement, params: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Run a statement and commit. A connection that died while idle gets one more try.

    UnavailableError (503) when the database does not answer.
    """
    with _lock:
        for is_last in (False, True):
            try:
                return _connected().execute(statement, dict(params)).fetchall()
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                _drop()
                if is_last:
                    raise UnavailableError(
                        "The database does not answer just now. Try again.", retry_after_seconds=1
                    ) from error
    raise AssertionError("unreachable")


def _connected() -> psycopg.Connection[Any]:
    found = _open.get(os.getpid())
    if found is None or found.closed:
        params = connections["default"].get_connection_params()
        params.pop("cursor_factory", None)
        params.pop("context", None)
        params.pop("pool", None)
        found = _open[os.getpid()] = psycopg.connect(**params, autocommit=True)
    return found


def _drop() -> None:
    found = _open.pop(os.getpid(), None)
    if found is not None:
        found.close()


def close() -> None:
    """End this process's connection; the next use opens another."""
    with _lock:
        _drop()
