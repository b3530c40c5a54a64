"""Loading in a thread, once for all requests that lack the same thing at the same time.

What the directory forgets, at a change or after its five seconds, every request in hand lacks at
once. Each loading it for itself, hundreds of small queries stood before the next answer.
"""

import asyncio
from collections.abc import Callable, Hashable
from typing import Any, Final, TypeVar

from django.db import DatabaseError
from psycopg_pool import PoolTimeout

from ingest.judging import admission
from portal.kernel.errors import UnavailableError

T = TypeVar("T")

_running: Final[dict[tuple[asyncio.AbstractEventLoop, Hashable], asyncio.Task[Any]]] = {}


async def load_once(what: Hashable, function: Callable[..., T], *arguments: object) -> T:
    """The result of a function that blocks on the database, shared by those who ask for `what`.

    Its troubles are a 503 for all of them.
    """
    place = (asyncio.get_running_loop(), what)
    task: asyncio.Task[T] | None = _running.get(place)
    if task is None:
        task = asyncio.create_task(in_thread(function, *arguments))
        _running[place] = task
        task.add_done_callback(lambda _: _running.pop(place, None))
    # Who goes away in the meantime does not take the load from the others.
    return await asyncio.shield(task)


async def in_thread(function: Callable[..., T], *arguments: object) -> T:
    """Run what blocks on the database off the loop; its troubles are a 503."""

    def run() -> T:
        try:
            return function(*arguments)
        finally:
            admission.release_connection()

    try:
        return await asyncio.to_thread(run)
    except (DatabaseError, PoolTimeout) as error:
        raise UnavailableError("The database does not answer just now. Try again.") from error
