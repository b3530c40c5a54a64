"""Requests for which there is no room: the second and all that follow are answered from the first."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from governance.keys import parse
from governance.services.keys import revoke_key
from ingest.doors import express
from ingest.doors.gate import START_LIMIT, Ticket, gate
from ingest.doors.limits import quotas
from ingest.doors.uses import Uses
from portal.kernel.actor import SYSTEM
from portal.kernel.errors import UnavailableError
from tests.ingest.conftest import World
from tests.ingest.desk import MANY, ONE, Desk, open_desk, wait_for_in_hand, wait_for_notices

Answer = tuple[int, dict[str, str], Any]


@pytest.fixture(scope="module")
def desk(world: World) -> Iterator[Desk]:
    with open_desk(world) as desk:
        yield desk


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of requests that were answered from an earlier answer."""
    found: list[str] = []
    again = express._TurnedAway.again

    def noted(self: Any, request_id: str, *others: Any) -> Any:
        found.append(request_id)
        return again(self, request_id, *others)

    monkeypatch.setattr(express._TurnedAway, "again", noted)
    return found


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Uses:
    found = Uses()
    monkeypatch.setattr(gate, "_uses", found)
    return found


@pytest.fixture
def held(desk: Desk) -> Iterator[list[Ticket]]:
    """All the room there is."""
    desk.refresh()
    wait_for_in_hand(0)
    gate.limit = 1.0
    tickets: list[Ticket] = []
    for key in ("one", "another"):  # the second is let in beyond what the first filled
        while True:
            try:
                tickets.append(gate.enter(key, "100", is_full=False))
            except UnavailableError:
                break
    yield tickets
    for ticket in tickets:
        ticket.close()
    gate.limit = START_LIMIT


def answers(desk: Desk, requests: list[bytes]) -> list[Answer]:
    """Those of requests that go over one connection, each when the one before was answered."""
    found = []
    with socket.create_connection(("127.0.0.1", desk.port), timeout=20) as line:
        for request in requests:
            line.sendall(request)
            said = line.recv(65_536)
            head, _, body = said.partition(b"\r\n\r\n")
            first, *lines = head.decode().split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines)
            assert len(headers) == len(lines), "each field once"
            assert len(body) == int(headers["content-length"])
            found.append((int(first.split()[1]), headers, json.loads(body)))
    return found


def request(desk: Desk, name: str, *others: str) -> bytes:
    body = json.dumps(desk.event(name)).encode()
    return desk.head(ONE, len(body), "/v1/events", *others) + body


def key_id(key: str) -> str:
    parsed = parse(key)
    assert parsed is not None
    return parsed.id


def refused(counts: Uses) -> list[int]:
    return [sum(column) for column in zip(*counts.take().values(), strict=True)]


def test_who_comes_again_hears_the_same_as_before_with_what_is_of_the_moment(
    desk: Desk, made: list[str], counts: Uses, held: list[Ticket]
) -> None:
    found = answers(desk, [request(desk, f"again-{number}") for number in range(10, 16)])
    first, *others = found
    assert [status for status, _, _ in found] == [503] * 6
    ids = [headers["x-request-id"] for _, headers, _ in found]
    assert len(set(ids)) == 6
    assert made == ids[-len(made) :], "told in the answers"
    assert len(made) == 5, "all but the first"
    left = []
    for _, headers, body in found:
        assert 1 <= int(headers["retry-after"]) <= 60
        assert headers["ratelimit-policy"] == '"events";q=100000;w=1'
        assert body["instance"] == headers["x-request-id"]
        name, remaining, _ = headers["ratelimit"].split(";")
        assert name == '"events"'
        left.append(int(remaining.removeprefix("r=")))
    assert all(49_000 < remaining < 100_000 for remaining in left), "each has paid its token"
    for _, headers, body in others:
        assert set(headers) == set(first[1])
        assert {**body, "instance": ""} == {**first[2], "instance": ""}
    for ticket in held:
        ticket.close()
    assert refused(counts) == [0, 0, 0, len(found) + 2], "none is left uncounted; two were ours"


def test_nothing_of_another_request_is_said(
    desk: Desk, made: list[str], held: list[Ticket]
) -> None:
    """A head with a trace of its own is another head."""
    traces = [f"00-{number:032x}-{number:016x}-01" for number in (1, 2)]
    sent = [request(desk, "traced", f"traceparent: {trace}") for trace in traces * 3]
    found = answers(desk, sent)
    assert [headers["traceparent"] for _, headers, _ in found] == traces * 3
    assert made


def test_a_quota_is_asked_before_room(desk: Desk, made: list[str], held: list[Ticket]) -> None:
    sent = [request(desk, f"quota-{number}") for number in range(10, 13)]
    assert [status for status, _, _ in answers(desk, sent)] == [503] * 3
    number = len(made)
    bucket = quotas._keys[key_id(desk.key)].bucket
    bucket.tokens -= 1_000_000
    (found,) = answers(desk, sent[:1])
    bucket.tokens += 1_000_000
    assert (found[0], found[2]["code"]) == (429, "rate_limited")
    assert found[1]["x-request-id"] == found[2]["instance"]
    assert found[1]["content-type"] == "application/problem+json"
    assert int(found[1]["retry-after"]) >= 9
    assert len(made) == number
    assert answers(desk, sent[:1])[0][0] == 503


def test_what_was_given_back_is_there_for_the_next(
    desk: Desk, made: list[str], held: list[Ticket]
) -> None:
    sent = [request(desk, f"room-{number}") for number in range(10, 13)]
    assert [status for status, _, _ in answers(desk, sent)] == [503] * 3
    assert gate.turns_away(key_id(desk.key))
    for ticket in held:
        ticket.close()
    assert [status for status, _, _ in answers(desk, sent)] == [202] * 3
    wait_for_in_hand(0)


def test_a_key_that_was_revoked_is_not_told_to_come_again(
    desk: Desk, world: World, made: list[str], held: list[Ticket]
) -> None:
    other = world.key(desk.producer)
    body = b"[]"
    head = desk.head(MANY, len(body)).replace(desk.key.encode(), other.encode())
    assert [status for status, _, _ in answers(desk, [head + body] * 5)] == [503] * 5
    assert made
    revoke_key(key_id(other), actor=SYSTEM)
    wait_for_notices()
    assert [status for status, _, _ in answers(desk, [head + body] * 2)] == [401] * 2


def test_before_the_others_hear_of_it_a_browsers_page_may_read_it(
    desk: Desk, world: World, made: list[str], held: list[Ticket]
) -> None:
    origin = "https://shop.example"
    other = world.key(desk.producer, browser_origins=[origin])
    body = b"[]"
    head = desk.head(MANY, len(body), "/v1/events", f"Origin: {origin}")
    head = head.replace(desk.key.encode(), other.encode())
    found = answers(desk, [head + body] * 4)
    assert [status for status, _, _ in found] == [503] * 4
    assert made
    for _, headers, _ in found:
        assert headers["access-control-allow-origin"] == origin
        assert headers["vary"] == "Origin"
