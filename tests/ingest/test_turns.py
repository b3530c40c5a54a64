"""Turns: some milliseconds of heavy work in each round of the event loop, whoever waits."""

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import uvloop

from ingest.doors import door, road
from ingest.doors import turns as turns_module
from ingest.doors.gate import SLICE_BYTES, Gate
from ingest.doors.turns import ROUND_SECONDS, turns
from ingest.protocols.cloudevents import Room, Run


class Rounds:
    """Counts how often the loop came round."""

    def __init__(self) -> None:
        self.now = 0
        self.is_over = False

    def tick(self) -> None:
        self.now += 1
        if not self.is_over:
            asyncio.get_running_loop().call_soon(self.tick)


class Clock:
    """What this thread has computed, as far as the test says so."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def thread_time(self) -> float:
        return self.seconds


def slices_by_round(loop: str, slices: dict[str, list[float]]) -> tuple[str, list[list[float]]]:
    """Whose turn it was, one after the other, and how long the slices of each round took."""
    clock, rounds = Clock(), Rounds()
    order: list[str] = []
    found: dict[int, list[float]] = {}

    async def work(name: str) -> None:
        for seconds in slices[name]:
            await turns().wait()
            order.append(name)
            found.setdefault(rounds.now, []).append(seconds)
            clock.seconds += seconds

    async def all_of_them() -> None:
        asyncio.get_running_loop().call_soon(rounds.tick)
        await asyncio.gather(*[work(name) for name in slices])
        rounds.is_over = True

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(turns_module, "time", clock)
        if loop == "uvloop":
            uvloop.run(all_of_them())
        else:
            asyncio.run(all_of_them())
    assert rounds.now <= 2 * len(order) + 5, "no round is lost on waiting"
    return "".join(order), list(found.values())


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_each_round_of_the_loop_has_one_large_slice(loop: str) -> None:
    order, rounds = slices_by_round(loop, {name: [0.006] * 3 for name in "abcd"})
    assert order == "abcd" * 3, "each in its turn"
    assert rounds == [[0.006]] * 12, "never two in one round"


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_small_slices_share_a_round(loop: str) -> None:
    order, rounds = slices_by_round(loop, {name: [0.0019] * 12 for name in "abcdef"})
    assert order == "abcdef" * 12
    assert len(rounds[0]) == 1, "what they take is not known yet"
    assert [len(each) for each in rounds[-4:-1]] == [3, 3, 3]
    assert all(sum(each) <= ROUND_SECONDS for each in rounds)
    _, rounds = slices_by_round(loop, {name: [0.0001] * 12 for name in "abcdefghijkl"})
    assert max(len(each) for each in rounds) == 8, "a surprise stays bounded"


def test_when_slices_grow_it_is_believed_at_once() -> None:
    _, rounds = slices_by_round("uvloop", {name: [0.0019] * 12 + [0.006] * 3 for name in "abcdef"})
    large = [each for each in rounds if 0.006 in each]
    assert len(large[0]) <= 3
    assert large[1:] == [[0.006]] * (len(large) - 1)


def test_who_gives_up_is_passed_over() -> None:
    async def all_of_them() -> list[str]:
        done: list[str] = []

        async def work(name: str) -> None:
            await turns().wait()
            done.append(name)

        tasks = [asyncio.create_task(work(name)) for name in "abc"]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await work("later")
        return done

    assert asyncio.run(all_of_them()) == ["a", "c", "later"]


@pytest.mark.parametrize(("is_pressed", "rounds_needed"), [(True, 4), (False, 1)])
def test_while_requests_are_turned_away_a_body_below_a_slice_takes_its_turn_too(
    is_pressed: bool, rounds_needed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = Rounds()
    judged_at: list[int] = []

    class Visit:
        settles_names = False

        def runs(self, body: bytes, room: Room) -> Iterator[Run]:
            judged_at.append(rounds.now)
            yield []

    batch = SimpleNamespace(waiting=[], offer=lambda run: None)
    monkeypatch.setattr(door, "batch_of", lambda visit, directory: batch)
    monkeypatch.setattr(Gate, "is_pressed", property(lambda self: is_pressed))
    body = b" " * (SLICE_BYTES // 3)
    visit: Any = Visit()

    async def four() -> None:
        asyncio.get_running_loop().call_soon(rounds.tick)
        await asyncio.gather(*[road._judge(visit, body) for _ in range(4)])
        rounds.is_over = True

    uvloop.run(four())
    assert len(set(judged_at)) == rounds_needed
