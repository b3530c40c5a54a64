"""What many requests lack at once is loaded once."""

import asyncio
import threading
import time

import pytest
from django.db import DatabaseError

from ingest.doors.single_flight import _running, load_once
from portal.kernel.errors import UnavailableError


def test_a_hundred_who_lack_one_thing_load_it_once() -> None:
    loads: list[int] = []

    def load(number: int) -> int:
        loads.append(threading.get_ident())
        time.sleep(0.05)
        return number

    async def ask() -> list[int]:
        asked = [load_once("key", load, 7) for _ in range(100)]
        return await asyncio.gather(*asked, load_once("another", load, 8))

    assert asyncio.run(ask()) == [7] * 100 + [8]
    assert len(loads) == 2
    assert asyncio.run(ask())[-1] == 8, "nothing is remembered: the directory does that"
    assert len(loads) == 4
    assert not _running


def test_a_trouble_is_everybodys_and_who_goes_takes_nothing_along() -> None:
    begun, gone_by = threading.Event(), threading.Event()

    def fail() -> None:
        begun.set()
        assert gone_by.wait(20)
        raise DatabaseError

    async def ask() -> list[BaseException | None]:
        tasks = [asyncio.create_task(load_once("key", fail)) for _ in range(3)]
        while not begun.is_set():
            await asyncio.sleep(0.01)
        tasks[0].cancel()
        await asyncio.wait(tasks[:1])
        gone_by.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    gone, *others = asyncio.run(ask())
    assert isinstance(gone, asyncio.CancelledError)
    assert all(isinstance(error, UnavailableError) for error in others)


def test_another_loop_loads_for_itself() -> None:
    async def ask() -> int:
        return await load_once("key", lambda: 1)

    assert [asyncio.run(ask()) for _ in range(2)] == [1, 1]
    with pytest.raises(RuntimeError):
        ask().send(None)
