"""Turns: one slice of heavy work in each round of the event loop, whoever waits."""

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import uvloop

from ingest.doors import door, road
from ingest.doors.gate import SLICE_BYTES, Gate
from ingest.doors.turns import turns
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


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_each_round_of_the_loop_has_one_slice(loop: str) -> None:
    rounds = Rounds()
    slices: list[tuple[int, str]] = []

    async def work(name: str) -> None:
        for _ in range(3):
            await turns().wait()
            slices.append((rounds.now, name))

    async def all_of_them() -> None:
        asyncio.get_running_loop().call_soon(rounds.tick)
        await asyncio.gather(*[work(name) for name in "abcd"])
        rounds.is_over = True

    if loop == "uvloop":
        uvloop.run(all_of_them())
    else:
        asyncio.run(all_of_them())
    assert "".join(name for _, name in slices) == "abcd" * 3, "each in its turn"
    at = [round_ for round_, _ in slices]
    assert len(set(at)) == len(at), "never two in one round"
    assert at[-1] - at[0] <= 2 * len(at), "and no round is lost on waiting"


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
