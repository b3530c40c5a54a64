"""The loop's own writer: plain groups in the loop, everything else and every fault by the thread."""

import json
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ingest.log import exchange, loop_writer, store
from ingest.log.connection import connect
from ingest.log.group import Item, Submission
from ingest.log.loop_writer import LoopWriter, take_group
from ingest.types import Envelope
from portal.kernel import clock
from tests.ingest.conftest import World
from tests.ingest.desk import MANY, ONE, Desk
from tests.ingest.test_store import accounts
from tests.support.serving import served


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each exchange had, in the loop or in the thread."""
    found: list[int] = []
    begin = exchange.begin

    def counting(*arguments: Any) -> Any:
        found.append(len(arguments[2]))
        return begin(*arguments)

    monkeypatch.setattr(exchange, "begin", counting)
    return found


@pytest.fixture(scope="module")
def desk(world: World) -> Iterator[Desk]:
    from portal.asgi import application

    with served(application) as port:
        producer = world.producer()
        desk = Desk(port, world.stream(), producer, world.key(producer), [])
        deadline = time.monotonic() + 60
        while own(desk) is None and time.monotonic() < deadline:
            assert send(desk, f"first-{time.monotonic_ns()}")[0] == 202
        assert own(desk) is not None
        yield desk


def writer_of_loop() -> LoopWriter:
    (found,) = [each for each in store.writer()._loop_writers.values() if not each.loop.is_closed()]
    return found


def own(desk: Desk) -> int | None:
    """The backend of the loop's connection, once it has one."""
    found = store.writer()._loop_writers
    connections = [each._connection for each in found.values() if each._connection is not None]
    return connections[0].pgconn.backend_pid if connections else None


def send(desk: Desk, *names: str, **others: Any) -> tuple[int, dict[str, str], Any]:
    events = [desk.event(name, **others) for name in names]
    if len(events) == 1:
        return desk.send(ONE, json.dumps(events[0]).encode())
    return desk.send(MANY, json.dumps(events).encode())


def counts(answer: tuple[int, dict[str, str], Any]) -> tuple[int, int, int]:
    body = answer[2]
    return body["accepted"], body["duplicate"], body["dead_lettered"]


def test_plain_events_are_written_in_the_loop_and_all_else_by_the_thread(
    desk: Desk, world: World, begun: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    handed: list[int] = []
    take_over = store.Writer.take_over

    def taking(self: store.Writer, group: Any) -> None:
        handed.append(len(group))
        take_over(self, group)

    monkeypatch.setattr(store.Writer, "take_over", taking)
    before = accounts(desk.stream.pk)
    at = clock.now().isoformat()
    assert counts(send(desk, "p1", "p2", time=at)) == (2, 0, 0)
    assert (begun, handed) == ([2], [])
    assert counts(send(desk, "p3", data={})) == (0, 0, 1)  # a dead letter
    assert (begun, handed) == ([2], [1])
    again = send(desk, "p1", "p2", time=at)  # tried in the loop, then told apart by the thread
    assert counts(again) == (0, 2, 0)
    assert (begun, handed) == ([2, 2], [1, 1])
    after = accounts(desk.stream.pk)
    assert [b - a for a, b in zip(before, after, strict=True)] == [5, 2, 2]


def test_a_backend_that_dies_in_the_exchange_is_a_503_and_the_loop_connects_again(
    desk: Desk, world: World
) -> None:
    stored, backend = len(world.events(desk.stream)), own(desk)
    at = clock.now().isoformat()
    with connect() as other, connect(autocommit=True) as killer, ThreadPoolExecutor(1) as pool:
        other.execute("LOCK TABLE ingest_ingestminute IN ACCESS EXCLUSIVE MODE")
        answer = pool.submit(send, desk, "dies", time=at)
        deadline = time.monotonic() + 60
        killed = 0
        while not killed and time.monotonic() < deadline:
            killed = killer.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid = %s AND wait_event_type = 'Lock'",
                [backend],
            ).rowcount
        assert killed == 1
        status, headers, _ = answer.result(60)
        assert status == 503
        assert headers["retry-after"].isdigit()
        other.rollback()
    assert counts(send(desk, "dies", time=at)) == (1, 0, 0)
    assert len(world.events(desk.stream)) == stored + 1
    reconnected(desk, backend)


def test_a_backend_that_dies_while_nothing_is_written_costs_no_request(desk: Desk) -> None:
    backend = own(desk)
    with connect(autocommit=True) as killer:
        killer.execute("SELECT pg_terminate_backend(%s)", [backend])
    deadline = time.monotonic() + 60
    while own(desk) == backend and time.monotonic() < deadline:
        time.sleep(0.01)
    assert own(desk) is None
    reconnected(desk, backend)


def test_an_answer_that_the_poller_does_not_tell_of_is_found(desk: Desk) -> None:
    own_writer = writer_of_loop()
    with connect() as other, ThreadPoolExecutor(1) as pool:
        other.execute("LOCK TABLE ingest_ingestminute IN ACCESS EXCLUSIVE MODE")
        answer = pool.submit(send, desk, "unseen")
        deadline = time.monotonic() + 60
        while own_writer._exchange is None and time.monotonic() < deadline:
            time.sleep(0.01)
        own_writer.loop.call_soon_threadsafe(own_writer.loop.remove_reader, own_writer._socket)
        time.sleep(0.1)
        other.rollback()
        assert answer.result(60)[0] == 202  # a 503, had nobody looked
    # It is told again, and does not look for each: that takes longer, however idle the machine is.
    quick, sent = 0, 0
    while quick < 10 and sent < 100:
        began, sent = time.monotonic(), sent + 1
        assert send(desk, f"seen-{sent}")[0] == 202
        quick += time.monotonic() - began < loop_writer._LOOK_SECONDS
    assert quick == 10


def reconnected(desk: Desk, backend: int | None) -> None:
    deadline = time.monotonic() + 60
    while own(desk) in (None, backend) and time.monotonic() < deadline:
        assert send(desk, f"again-{time.monotonic_ns()}")[0] == 202
    assert own(desk) not in (None, backend)
    deadline = time.monotonic() + 60
    while not writer_of_loop().is_idle:  # it is, in the moment after its answer
        assert time.monotonic() < deadline


def test_a_group_is_bounded_and_what_stands_alone_does() -> None:
    def one(size: int, *, is_rehearsal: bool = False) -> Submission:
        items = [Item("", Envelope(b"", ""))] * size
        return Submission(items, 1, 0, is_rehearsal=is_rehearsal)

    queue = deque([one(1500), one(500), one(1), one(1, is_rehearsal=True), one(5000), one(2)])
    groups = []
    while queue:
        groups.append([len(submission.items) for submission in take_group(queue)])
    assert groups == [[1500, 500], [1], [1], [5000], [2]]
