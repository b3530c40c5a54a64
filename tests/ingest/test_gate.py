"""The gate: room for everybody's share, short queues, bounded bytes, patience with slow bodies."""

import asyncio
import json
import time
from typing import Any

import pytest

from ingest.doors import asgi
from ingest.doors import gate as gate_module
from ingest.doors.gate import (
    MIN_LIMIT,
    SLOW_BODY_SECONDS,
    START_LIMIT,
    Gate,
    Ticket,
    parse_load,
)
from ingest.doors.uses import Uses
from portal.kernel.errors import UnavailableError
from tests.ingest.conftest import World, post, post_async

ONE = "application/cloudevents+json"


def new_gate(*, limit: float = 100.0, max_bytes: int = 1_000_000) -> Gate:
    found = Gate(Uses(), max_bytes=max_bytes)
    found.limit = limit
    return found


def fill(gate: Gate, key: str, most: int = 10_000) -> list[Ticket]:
    """Let in as many small requests of a key as there is room for."""
    tickets: list[Ticket] = []
    while len(tickets) < most:
        try:
            tickets.append(gate.enter(key, "100", is_full=False))
        except UnavailableError:
            break
    return tickets


def test_alone_a_key_may_have_all_the_room() -> None:
    assert len(fill(new_gate(), "loud")) == 100


def test_a_loud_key_leaves_room_for_a_quiet_one() -> None:
    gate = new_gate()
    loud = fill(gate, "loud")
    quiet = fill(gate, "quiet", 20)
    assert len(quiet) == 20, "it is let in beyond what the loud one filled"
    for ticket in loud[:30]:
        ticket.close()
    assert len(fill(gate, "loud")) < 30, "above its share it waits until there is room"
    assert len(fill(gate, "quiet", 5)) == 5


def test_many_keys_get_their_shares() -> None:
    gate = new_gate(limit=120.0)
    held: dict[str, int] = {}
    for _ in range(100):
        for key in ("a", "b", "c", "d"):
            held[key] = held.get(key, 0) + len(fill(gate, key, 1))
    assert max(held.values()) - min(held.values()) <= 8, held


def test_what_is_closed_is_counted_no_more() -> None:
    gate = new_gate()
    for ticket in fill(gate, "a"):
        ticket.close()
        ticket.close()
    assert gate.load().split()[1:3] == ["0", "0"]
    assert gate._weights == {}
    assert len(fill(gate, "a")) >= 100


def test_the_refusal_says_when_to_come_again() -> None:
    gate = new_gate()
    fill(gate, "a")
    waits = set()
    for _ in range(200):
        with pytest.raises(UnavailableError) as refused:
            gate.enter("a", "", is_full=False)
        waits.add(int(refused.value.headers["Retry-After"]))
    assert waits <= set(range(1, 61))
    assert len(waits) > 2, "spread, so that they do not all come back at once"


def test_slow_answers_lower_the_limit_and_quick_ones_raise_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate, now = new_gate(limit=START_LIMIT), [1000.0]
    monkeypatch.setattr("ingest.doors.gate.time.monotonic", lambda: now[0])

    def round_of(seconds: float) -> None:
        tickets = fill(gate, "a", 600)
        fill(gate, "a", 1)
        now[0] += seconds
        for ticket in tickets:
            ticket.close()
        now[0] += 0.2

    for _ in range(40):
        round_of(2.0)
    assert gate.limit == MIN_LIMIT
    for _ in range(200):
        round_of(0.001)
    assert gate.limit > 4 * MIN_LIMIT


def test_while_requests_are_turned_away_only_small_bodies_are_judged_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [1000.0]
    monkeypatch.setattr("ingest.doors.gate.time.monotonic", lambda: now[0])
    gate = new_gate()
    assert gate.may_be_short(50_000)
    fill(gate, "a")
    assert gate.is_pressed
    assert (gate.may_be_short(50_000), gate.may_be_short(5_000)) == (False, True)
    now[0] += 1.5
    assert gate.may_be_short(50_000)


def test_the_load_says_how_long_the_loop_takes_to_come_round() -> None:
    gate = new_gate()
    assert parse_load(gate.load()).round_us == 0

    async def busy() -> None:
        gate.enter("a", "100", is_full=False).close()
        for _ in range(3):
            await asyncio.sleep(0)
            time.sleep(0.02)  # it is what holds a loop

    asyncio.run(busy())
    assert 20_000 <= parse_load(gate.load()).round_us < 10_000_000
    assert parse_load("1 2 3 4 5").queued == 5, "a process of an older version said less"


def test_bytes_of_bodies_are_bounded() -> None:
    gate = new_gate(limit=10_000.0, max_bytes=100_000)
    first = gate.enter("a", "", is_full=False)
    for _ in range(4):
        first.hold(49_000)
    with pytest.raises(UnavailableError):
        gate.enter("b", "", is_full=False)
    with pytest.raises(UnavailableError):
        first.hold(49_000)
    first.close()
    gate.enter("b", "", is_full=False).close()


def test_a_body_that_drips_takes_no_room(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asgi, "BODY_SECONDS", 1.0)
    monkeypatch.setattr(asgi, "SLOW_BODY_SECONDS", 0.2)
    gate = new_gate()
    monkeypatch.setattr("ingest.doors.door.gate", gate)
    world.stream()
    headers = {
        "content-type": ONE,
        "authorization": f"Bearer {world.key(world.producer())}",
        "content-length": str(90 * 4096),
    }

    async def until(requests: str, weight: str) -> None:
        async with asyncio.timeout(10):
            while gate.load().split()[1:3] != [requests, weight]:
                await asyncio.sleep(0.005)

    async def drip() -> int:
        task = asyncio.create_task(post_async(b"{", headers, end="hangs"))
        await until("1", "91")
        await until("1", "0")
        assert not task.done(), "it is waited for all the same"
        return (await task).status

    assert asyncio.run(drip()) == 408
    assert gate.load().split()[1:3] == ["0", "0"]
    assert SLOW_BODY_SECONDS == 1.0


@pytest.mark.parametrize("body", [b"{", b"[", b"\xff"])
def test_the_gate_is_left_whatever_comes(world: World, body: bytes) -> None:
    headers = {"content-type": ONE, "authorization": f"Bearer {world.key(world.producer())}"}
    assert post(body, headers).status == 400
    for end in ("gone", "whole"):
        asyncio.run(post_async(body, headers, end=end))
    assert gate_module.gate._requests == 0
    assert gate_module.gate._bytes == 0


def test_a_full_gate_is_a_503_with_the_fields_of_the_quota(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = new_gate(limit=1.0)
    monkeypatch.setattr("ingest.doors.door.gate", gate)
    held = fill(gate, "other") + fill(gate, "another")
    headers = {"content-type": ONE, "authorization": f"Bearer {world.key(world.producer())}"}
    answer = post(json.dumps({}).encode(), headers)
    assert (answer.status, answer.json["code"]) == (503, "unavailable")
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert answer.headers["ratelimit-policy"] == '"events";q=100000;w=1'
    assert held


def test_large_bodies_take_turns_and_small_ones_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = new_gate(limit=10_000.0)
    order: list[str] = []

    async def one(name: str, size: str) -> None:
        ticket = gate.enter("a", size, is_full=False)
        async with gate.lane(ticket):
            order.append(f"{name} in")
            await asyncio.sleep(0.01)
            order.append(f"{name} out")
        ticket.close()

    async def all_of_them() -> None:
        large = [one(f"large{number}", "1000000") for number in range(4)]
        await asyncio.gather(*large, one("small", "100"))

    asyncio.run(all_of_them())
    assert order.index("small in") < order.index("large0 out")
    assert order.index("large2 in") > order.index("large0 out")


@pytest.mark.alone
def test_letting_in_and_out_costs_little() -> None:
    gate: Any = new_gate()
    best = 1.0
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(2_000):
            gate.enter("a", "600", is_full=False).close()
        best = min(best, (time.perf_counter() - began) / 2_000)
    assert best < 20e-6, "some 3 µs on a quiet machine"


@pytest.mark.parametrize(
    ("length", "is_packed", "weight"),
    [
        ("0", False, 1),
        ("4095", False, 1),
        ("40960", False, 11),
        ("40960", True, 41),
        ("", False, 16),
    ],
)
def test_a_request_weighs_what_it_may_cost(length: str, is_packed: bool, weight: int) -> None:
    assert new_gate().enter("a", length, is_full=False, is_packed=is_packed).weight == weight


def on_trial(gate: Gate, key: str, most: int = 10_000) -> list[Ticket]:
    """As `fill`, for a key that sends to experimental streams alone."""
    tickets: list[Ticket] = []
    while len(tickets) < most:
        try:
            tickets.append(gate.enter(key, "100", is_full=False, is_on_trial=True))
        except UnavailableError:
            break
    return tickets


def test_what_goes_to_production_passes_what_is_on_trial() -> None:
    gate = new_gate()
    trials = [ticket for number in range(5) for ticket in on_trial(gate, f"trial-{number}", 20)]
    assert len(trials) == 100, "among themselves they have all the room"
    core = fill(gate, "core")
    assert len(core) == 25, "beyond what they filled, and no share of theirs keeps it out"
    for ticket in trials[:40]:
        ticket.close()
    assert on_trial(gate, "trial-0") == [], "while others have anything in hand they wait"
    assert len(fill(gate, "core")) >= 40, "room that they gave back is production's"
    for ticket in trials[40:] + core:
        ticket.close()
    assert gate._trial == {}
    assert len(on_trial(gate, "trial-0", 30)) == 30, "less than three quarters is anybody's"


def test_a_key_that_moves_on_to_production_is_counted_rightly() -> None:
    gate = new_gate()
    both = [*on_trial(gate, "a", 50), *fill(gate, "a", 20)]
    assert len(on_trial(gate, "b", 50)) == 5
    for ticket in both:
        ticket.close()
    assert (gate._weights, gate._trial) == ({"b": 5}, {"b": 5})
