"""Single events that come together are one batch, and each is answered as if it had come alone."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from django.db import connection

from governance.models import Key
from governance.services.keys import revoke_key
from ingest.doors import road, together
from ingest.log import store
from ingest.log.connection import connect
from portal.http.server import Protocol
from portal.kernel.actor import SYSTEM
from portal.kernel.errors import BadRequestError
from tests.ingest.conftest import World
from tests.ingest.desk import ONE, Desk, open_desk, wait_for_in_hand, wait_for_notices
from tests.support.live import wait_until


@pytest.fixture(scope="module")
def desk(world: World) -> Iterator[Desk]:
    with open_desk(world) as desk:
        yield desk


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many requests each batch of several had."""
    found: list[int] = []
    submit = together._Together.submit

    def counting(self: together._Together) -> None:
        found.append(len(self._calls))
        submit(self)

    monkeypatch.setattr(together._Together, "submit", counting)
    return found


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each request whose head had come before: whether the parser was left out."""
    found: list[bool] = []
    is_taken = Protocol._is_taken

    def counting(self: Protocol, *arguments: Any) -> bool:
        found.append(is_taken(self, *arguments))
        return found[-1]

    monkeypatch.setattr(Protocol, "_is_taken", counting)
    return found


Said = tuple[int, dict[str, str], Any]


def at_once(desk: Desk, requests: Sequence[bytes]) -> list[Said]:
    """Send each over a line of its own while the loop is held, so that one round brings them all."""
    (loop,) = [loop for loop in store.writer()._loop_writers if not loop.is_closed()]
    with several_lines(desk, len(requests)) as lines:
        make_known(lines)
        desk.refresh()
        with held(loop):
            for line, request in zip(lines, requests, strict=True):
                line.sendall(request)
        return [read(line) for line in lines]


@contextmanager
def held(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """The loop does nothing inside, so that its next round finds all that was sent."""
    is_held, may_go_on = threading.Event(), threading.Event()

    def hold() -> None:
        is_held.set()
        may_go_on.wait(60)

    loop.call_soon_threadsafe(hold)
    try:
        assert is_held.wait(60)
        yield
    finally:
        may_go_on.set()


def make_known(lines: Sequence[socket.socket]) -> None:
    """The loop has taken them."""
    for line in lines:
        line.sendall(b"OPTIONS /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert line.recv(65_536).startswith(b"HTTP/1.1 204 ")


@contextmanager
def several_lines(desk: Desk, count: int) -> Iterator[list[socket.socket]]:
    with ExitStack() as open_lines:
        yield [
            open_lines.enter_context(socket.create_connection(("127.0.0.1", desk.port), timeout=20))
            for _ in range(count)
        ]


def read(line: socket.socket) -> Said:
    said = b""
    while b"\r\n\r\n" not in said:
        said += line.recv(65_536)
    head, _, body = said.partition(b"\r\n\r\n")
    first, *fields = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (each.partition(": ") for each in fields)}
    while len(body) < int(headers["content-length"]):
        body += line.recv(65_536)
    return int(first.split()[1]), headers, json.loads(body)


def test_each_of_a_round_is_answered_as_if_it_had_come_alone(desk: Desk, groups: list[int]) -> None:
    def bodies(name: str) -> list[tuple[bytes, str]]:
        event = desk.event
        stored = json.dumps(event(f"{name}-stored")).encode()
        assert desk.send(ONE, stored)[0] == 202
        changed = json.dumps({**json.loads(stored), "data": {"order": "other"}}).encode()
        good = [json.dumps(event(f"{name}-{number}")).encode() for number in range(4)]
        return [
            (good[0], ""),
            (b" \n" + good[1] + b"\r\n", "?results=all"),
            (good[2], "?dry_run=true"),
            (json.dumps(event(f"{name}-5", data={"amount": -1})).encode(), ""),
            (json.dumps(event(f"{name}-6", type="no.such")).encode(), ""),
            (json.dumps(event(f"{name}-7", subject="ü")).encode(), ""),
            (json.dumps(event(f"{name}-8", time="2001-01-01T00:00:00Z")).encode(), ""),
            (stored, ""),
            (changed, ""),
            (b"{not json", ""),
            (b"", ""),
            (good[3], ""),
        ]

    def sent(name: str, *fields: str) -> list[bytes]:
        return [
            desk.head(ONE, len(body), f"/v1/events{query}", *fields) + body
            for body, query in bodies(name)
        ]

    alone = [at_once(desk, [one])[0] for one in sent("alone")]
    assert not groups
    found = at_once(desk, sent("joint"))
    assert not groups  # what is no JSON sends all to a closer look
    again = sent("again")
    found_again = at_once(desk, again[:9] + again[11:])
    assert groups == [5]  # those that nothing needs to be looked up for
    for others, expected in ((found, alone), (found_again, alone[:9] + alone[11:])):
        for (status, headers, body), (status_alone, headers_alone, body_alone) in zip(
            others, expected, strict=True
        ):
            assert (status, set(headers)) == (status_alone, set(headers_alone))
            assert _words(body) == _words(body_alone)
    wait_for_in_hand(0)


def _words(body: Any) -> Any:
    """An answer without what is its own: ids of events, requests and dead letters."""
    if isinstance(body, dict):
        own = {"id", "instance", "dead_letter"}
        return {name: name if name in own else _words(value) for name, value in body.items()}
    return [_words(one) for one in body] if isinstance(body, list) else body


def test_an_id_that_comes_twice_in_a_round_counts_once(desk: Desk, groups: list[int]) -> None:
    event = desk.event("twice")
    same, other = (
        json.dumps(event).encode(),
        json.dumps({**event, "data": {"order": "other"}}).encode(),
    )
    answers = at_once(desk, [desk.head(ONE, len(one)) + one for one in (same, same, other)])
    assert groups == [3]
    assert [status for status, _, _ in answers] == [202, 202, 422]
    assert [(body["accepted"], body["duplicate"]) for _, _, body in answers] == [
        (1, 0), (0, 1), (0, 0),
    ]  # fmt: skip
    assert answers[2][2]["results"][0]["reason"] == "id_conflict"


def test_what_is_charged_is_one_for_each(desk: Desk, world: World, groups: list[int]) -> None:
    producer = world.producer()
    key = world.key(producer, events_per_second=20)
    wait_for_notices()
    mine = Desk(desk.port, desk.stream, producer, key, desk.taken)
    pieces = [json.dumps(mine.event(f"charge-{number}")).encode() for number in range(30)]
    answers = at_once(mine, [mine.head(ONE, len(piece)) + piece for piece in pieces])
    taken = [status for status, _, _ in answers].count(202)
    assert groups == [taken]
    assert 5 <= taken <= 20
    assert {status for status, _, _ in answers} == {202, 429}
    accounts = world.totals(desk.stream.pk, producer)
    assert (accounts["received"], accounts["accepted"]) == (taken + 2, taken + 2)


def test_an_error_of_the_whole_leaves_each_its_own_try(
    desk: Desk, groups: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = together.submit

    def failing(batch: Any, waiter: Any) -> None:
        if isinstance(waiter, together._Together):
            waiter.set_exception(BadRequestError("One of them.", code="unstorable"))
        else:
            submit(batch, waiter)

    monkeypatch.setattr(together, "submit", failing)
    pieces = [json.dumps(desk.event(f"each-{number}")).encode() for number in range(3)]
    answers = at_once(desk, [desk.head(ONE, len(piece)) + piece for piece in pieces])
    assert groups == [3]
    assert [(status, body["accepted"]) for status, _, body in answers] == [(202, 1)] * 3


def test_what_waits_for_a_group_that_hangs_is_answered_in_time(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces = [json.dumps(desk.event(f"behind-{number}")).encode() for number in range(3)]
    with several_lines(desk, len(pieces)) as lines:

        def send() -> list[Said]:
            for line, piece in zip(lines, pieces, strict=True):
                line.sendall(desk.head(ONE, len(piece)) + piece)
                time.sleep(0.1)
            return [read(line) for line in lines]

        with connect() as other, monkeypatch.context() as patch:
            patch.setattr(road, "DATABASE_SECONDS", 0.5)
            other.execute("LOCK TABLE ingest_event IN ACCESS EXCLUSIVE MODE")
            answers = send()
            other.rollback()
        assert [status for status, _, _ in answers] == [503] * 3
        assert all("retry-after" in headers for _, headers, _ in answers)
        assert [status for status, _, _ in send()] == [202] * 3
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM ingest_event WHERE event_id LIKE 'e-behind-%%'")
        assert cursor.fetchone() == (3,)
    wait_for_in_hand(0)


def test_enough_for_a_batch_do_not_wait_for_the_group_under_way(
    desk: Desk, groups: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are judged, and stored with the next group; fewer wait for its end."""
    monkeypatch.setattr(together, "_ENOUGH", 4)
    pieces = [json.dumps(desk.event(f"enough-{number}")).encode() for number in range(7)]
    desk.refresh()
    with several_lines(desk, len(pieces)) as lines, connect() as other:
        other.execute("LOCK TABLE ingest_event IN ACCESS EXCLUSIVE MODE")

        def send(number: int) -> None:
            piece = pieces[number]
            lines[number].sendall(desk.head(ONE, len(piece)) + piece)
            wait_for_in_hand(number + 1)

        for number in range(4):
            send(number)
        assert groups == []
        send(4)
        wait_until(lambda: groups == [4], "four are judged together")
        for number in (5, 6):
            send(number)
        other.rollback()
        assert [read(line)[2]["accepted"] for line in lines] == [1] * len(pieces)
        assert groups == [4, 2]
    wait_for_in_hand(0)


class Crowd:
    """Clients that each send one event after the other, over a line of its own."""

    def __init__(self, desk: Desk, lines: Sequence[socket.socket]) -> None:
        self._desk, self._lines = desk, lines
        self._sent = 0
        (self._loop,) = [loop for loop in store.writer()._loop_writers if not loop.is_closed()]
        make_known(lines)
        desk.refresh()

    def send(self, *places: int) -> None:
        for place in places:
            self._sent += 1
            piece = json.dumps(self._desk.event(f"crowd-{id(self)}-{self._sent}")).encode()
            self._lines[place].sendall(self._desk.head(ONE, len(piece)) + piece)

    def read(self, *places: int) -> None:
        assert [read(self._lines[place])[2]["accepted"] for place in places] == [1] * len(places)

    def end_wait(self) -> None:
        """Its time is over."""
        self._loop.call_soon_threadsafe(together._gathering._judge)

    def send_in_one_round(self, *places: int) -> None:
        """They send, and are answered."""
        wait_for_in_hand(0)
        with held(self._loop):
            self.send(*places)
        self.read(*places)


@pytest.fixture
def crowd(desk: Desk, groups: list[int], patience: Callable[[float], None]) -> Iterator[Crowd]:
    """Four whose first events were one batch."""
    patience(0)
    with several_lines(desk, 4) as lines:
        crowd = Crowd(desk, lines)
        crowd.send_in_one_round(0, 1, 2, 3)
        assert groups == [4]
        groups.clear()
        yield crowd
    wait_for_in_hand(0)


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets for how many seconds others wait for those who were answered; nothing was in vain yet."""
    monkeypatch.setattr(together._gathering, "_in_vain", 0)
    monkeypatch.setattr(together._gathering, "_passes", 0)
    return lambda seconds: monkeypatch.setattr(together, "PATIENCE_SECONDS", seconds)


FOR_EVER = 60  # longer than a line waits for its answer


def test_who_was_answered_is_waited_for(
    crowd: Crowd, groups: list[int], patience: Callable[[float], None]
) -> None:
    patience(FOR_EVER)
    for _ in range(3):
        for number in range(1, 4):
            crowd.send(number)
            wait_for_in_hand(number)
        time.sleep(0.1)
        assert not groups
        crowd.send(0)
        crowd.read(0, 1, 2, 3)
        assert groups == [4]
        groups.clear()


def test_who_stays_away_is_waited_for_a_moment(
    crowd: Crowd, groups: list[int], patience: Callable[[float], None]
) -> None:
    patience(2)
    crowd.send(0, 1, 2)
    crowd.read(0, 1, 2)
    patience(FOR_EVER)
    for _ in range(3):
        crowd.send_in_one_round(0, 1, 2)
    assert groups[-3:] == [3, 3, 3]


def test_waits_in_vain_become_few(
    crowd: Crowd, groups: list[int], patience: Callable[[float], None]
) -> None:
    patience(FOR_EVER)
    for passes in (1, 2, 4):
        crowd.send(0)
        wait_until(lambda: together._gathering._wait is not None, "three are waited for")
        crowd.end_wait()
        crowd.read(0)
        for _ in range(passes):
            crowd.send_in_one_round(0, 1, 2, 3)
            crowd.send(0)
            crowd.read(0)  # and now they are not
        crowd.send_in_one_round(0, 1, 2, 3)
    groups.clear()
    crowd.send(0)
    wait_until(lambda: together._gathering._wait is not None, "they are again")
    crowd.send(1, 2, 3)
    crowd.read(0, 1, 2, 3)
    assert groups == [4]
    crowd.send(0)
    wait_until(lambda: together._gathering._wait is not None, "they came: nothing is left out")
    crowd.send(1, 2, 3)
    crowd.read(0, 1, 2, 3)


def test_a_head_that_came_before_goes_by_without_the_parser(desk: Desk, known: list[bool]) -> None:
    pieces = [json.dumps(desk.event(f"known-{number}")).encode() for number in range(8)]
    requests = [desk.head(ONE, len(piece)) + piece for piece in pieces]
    desk.refresh()
    Protocol._known.clear()
    known.clear()
    with socket.create_connection(("127.0.0.1", desk.port), timeout=20) as line:
        line.sendall(requests[0])
        assert read(line)[0] == 202
        assert known == []
        line.sendall(requests[1])
        assert read(line)[2]["accepted"] == 1
        assert known == [True]
        line.sendall(requests[2][:-5])  # its body is not whole yet
        time.sleep(0.1)
        line.sendall(requests[2][-5:])
        assert read(line)[2]["accepted"] == 1
        line.sendall(requests[3] + requests[4])  # two at once
        assert read_several(line, 2) == [202, 202]
        assert known == [True, False, False]
        line.sendall(requests[5][:30])  # half a head
        time.sleep(0.1)
        line.sendall(requests[5][30:])
        assert read(line)[2]["accepted"] == 1
        assert known == [True, False, False]
        line.sendall(requests[1])
        assert read(line)[2]["duplicate"] == 1
        assert known == [True, False, False, True]
    wait_for_in_hand(0)


def read_several(line: socket.socket, count: int) -> list[int]:
    said = b""
    while said.count(b'"accepted":1') < count:
        said += line.recv(65_536)
    return [int(part.split()[0]) for part in said.split(b"HTTP/1.1 ")[1:]]


def test_a_known_head_is_judged_anew_each_time(desk: Desk, world: World, known: list[bool]) -> None:
    """Its key may be revoked and its quota used up, and it says so itself."""
    producer = world.producer()
    text = world.key(producer, events_per_second=10)
    wait_for_notices()
    mine = Desk(desk.port, desk.stream, producer, text, desk.taken)
    piece = json.dumps(mine.event("anew")).encode()
    request = mine.head(ONE, len(piece)) + piece
    with socket.create_connection(("127.0.0.1", desk.port), timeout=20) as line:
        statuses = []
        for _ in range(30):
            line.sendall(request)
            statuses.append(read(line)[0])
        assert set(statuses) == {202, 429}
        assert statuses[0] == 202
        assert known[-1]
        time.sleep(0.5)  # a few tokens
        line.sendall(request)
        assert read(line)[0] == 202
        revoke_key(Key.objects.get(holder_id=producer.pk).pk, actor=SYSTEM)

        def is_refused() -> bool:
            line.sendall(request)
            return read(line)[0] == 401

        wait_until(is_refused, "the key is refused")
    wait_for_in_hand(0)
