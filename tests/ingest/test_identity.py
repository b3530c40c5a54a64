"""Identity: (stream, id, time), the ledger without a time; exact whoever writes, when and by which road."""

import contextlib
import http.client
import itertools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.models import Stream
from ingest.doors import road as ordinary_road
from ingest.judging import admission
from ingest.log import store
from ingest.log.connection import connect
from portal.kernel import clock
from portal.launcher.instance import free_port
from tests.ingest.conftest import Answer, World, post

ROOT = Path(__file__).resolve().parents[2]
ONE = "application/cloudevents+json"
MANY = "application/cloudevents-batch+json"
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def stream(world: World) -> Stream:
    return world.stream()


@pytest.fixture(scope="module")
def key(world: World) -> str:
    return world.key(world.producer())


def event(stream: Stream, name: str = "", **changes: Any) -> dict[str, Any]:
    made = {
        "specversion": "1.0",
        "id": name or f"identity-{next(_numbers)}",
        "source": "/identity",
        "type": stream.name,
        "time": clock.now().isoformat(),
        "data": {"order": "a", "amount": 1},
    }
    return {field: value for field, value in (made | changes).items() if value is not ...}


def send(key: str, *events: dict[str, Any]) -> list[str]:
    """The outcome of each: its status, or its reason."""
    answer = post(
        json.dumps(events).encode(),
        {"content-type": MANY, "authorization": f"Bearer {key}"},
        query="results=all",
    )
    return outcomes(answer.json)


def outcomes(answer: dict[str, Any]) -> list[str]:
    return [result.get("reason") or result["status"] for result in answer["results"]]


# --- one writer ---


def test_within_a_batch_the_first_wins_whatever_follows(stream: Stream, key: str) -> None:
    first = event(stream)
    other = first | {"data": {"order": "b"}}
    assert send(key, first, other, first, other) == [
        "accepted", "id_conflict", "duplicate", "id_conflict",
    ]  # fmt: skip
    assert send(key, other, first) == ["id_conflict", "duplicate"]


def test_one_id_under_several_times_and_streams_is_several_events(
    world: World, stream: Stream, key: str
) -> None:
    first = event(stream)
    later = first | {"time": (clock.now() + timedelta(microseconds=1)).isoformat()}
    elsewhere = first | {"type": world.stream().name}
    assert send(key, first, later, elsewhere) == ["accepted"] * 3
    assert send(key, elsewhere, later, first) == ["duplicate"] * 3


@pytest.mark.parametrize(
    "changes",
    [
        {"data": {"amount": 1.0, "order": "a"}},
        {"data": {"amount": 1, "order": "a"}, "traceparent": f"00-{'a' * 32}-{'b' * 16}-01"},
        {"tracestate": "x=1"},
        {"datacontenttype": "application/json"},
        {"subject": None},
    ],
    ids=["numbers and order", "trace context", "trace state", "the usual type", "null for absent"],
)
def test_the_same_content_in_another_spelling_is_a_duplicate(
    stream: Stream, key: str, changes: dict[str, Any]
) -> None:
    first = event(stream)
    assert send(key, first) == ["accepted"]
    assert send(key, dict(reversed((first | changes).items()))) == ["duplicate"]


@pytest.mark.parametrize(
    "changes",
    [{"subject": "s"}, {"source": "/other"}, {"data": {"order": "a"}}, {"data": ...},
     {"environment": "test"}, {"dataschema": "1"}],
    ids=str,
)  # fmt: skip
def test_other_content_is_a_conflict_and_the_first_stays(
    world: World, key: str, changes: dict[str, Any]
) -> None:
    mine = world.stream(True)
    first = event(mine)
    assert send(key, first) == ["accepted"]
    again = {field: value for field, value in (first | changes).items() if value is not ...}
    assert send(key, again) == ["id_conflict"]
    (row,) = world.events(mine)
    assert (row["source"], row["subject"]) == ("/identity", None)


def test_the_modes_of_one_event_are_one(stream: Stream, key: str) -> None:
    first = event(stream)
    assert send(key, first) == ["accepted"]
    head = {f"ce-{name}": str(value) for name, value in first.items() if name != "data"}
    binary = post(
        json.dumps(first["data"]).encode(),
        head | {"content-type": "application/json", "authorization": f"Bearer {key}"},
    )
    assert binary.json["duplicate"] == 1


def test_midnight_parts_events_but_no_spelling_of_the_time_does(
    world: World, stream: Stream, key: str
) -> None:
    midnight = clock.now().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    before = event(stream, time=(midnight - timedelta(microseconds=1)).isoformat())
    after = before | {"time": midnight.isoformat()}
    assert send(key, before, after) == ["accepted", "accepted"]
    eastern = f"{midnight + timedelta(hours=14):%Y-%m-%dT%H:%M:%S}.0000009+14:00"
    western = f"{midnight - timedelta(hours=11, microseconds=1):%Y-%m-%dT%H:%M:%S.%f}-11:00"
    assert send(key, after | {"time": eastern}, before | {"time": western}) == ["duplicate"] * 2
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tableoid::regclass::text FROM ingest_event WHERE event_id = %s ORDER BY 1",
            [before["id"]],
        )
        leaves = [row[0] for row in cursor.fetchall()]
    days = [midnight - timedelta(days=1), midnight]
    assert leaves == [f"ingest_event_experimental_{day:%Y%m%d}" for day in days]


def test_the_promotion_to_production_changes_no_identity(world: World, key: str) -> None:
    mine = world.stream()
    timed, untimed = event(mine), event(mine, time=...)
    assert send(key, timed, untimed) == ["accepted"] * 2
    now = clock.now()
    Stream.objects.filter(pk=mine.pk).update(
        track="production", production_since=now, track_moments=[now]
    )
    admission.directory.forget_all()
    fresh = event(mine)
    assert send(key, timed, untimed, fresh) == ["duplicate", "duplicate", "accepted"]
    assert send(key, fresh | {"data": {"order": "b"}}) == ["id_conflict"]
    tracks = {row["event_id"]: row["track"] for row in world.events(mine)}
    assert tracks == {timed["id"]: 1, untimed["id"]: 1, fresh["id"]: 0}


def test_a_database_that_hangs_is_a_503_in_time_and_sending_again_leaves_one_copy(
    world: World, stream: Stream, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    event_sent = event(stream)
    headers = {"content-type": ONE, "authorization": f"Bearer {key}"}
    send(key, event(stream))  # what has to be looked up is known
    monkeypatch.setattr(ordinary_road, "DATABASE_SECONDS", 0.3)
    with connect() as other:
        other.execute("LOCK TABLE ingest_event IN ACCESS EXCLUSIVE MODE")
        answer = post(json.dumps(event_sent).encode(), headers)  # while nothing can be written
        assert (answer.status, answer.json["code"]) == (503, "unavailable")
        assert 1 <= int(answer.headers["retry-after"]) <= 5
    monkeypatch.undo()
    assert send(key, event_sent) == ["duplicate"], "what was handed to the writer is written"
    assert [row["event_id"] for row in world.events(stream)].count(event_sent["id"]) == 1


# --- without a time ---


def test_without_a_time_an_id_counts_for_seven_days(world: World, key: str) -> None:
    mine = world.stream()
    untimed = event(mine, time=...)
    other = untimed | {"data": {"order": "b"}}
    assert send(key, untimed, untimed, other) == ["accepted", "duplicate", "id_conflict"]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT expires_at - now() FROM ingest_event_ledger WHERE event_id = %s",
            [untimed["id"]],
        )
        (left,) = cursor.fetchone()
        assert timedelta(days=6, hours=23) < left <= timedelta(days=7)
        cursor.execute(
            "UPDATE ingest_event_ledger SET expires_at = now() WHERE event_id = %s", [untimed["id"]]
        )
    assert send(key, other, other, untimed) == ["accepted", "duplicate", "id_conflict"]
    assert len(world.events(mine)) == 2


def test_an_explicit_time_is_another_identity_than_none(stream: Stream, key: str) -> None:
    untimed = event(stream, time=...)
    timed = untimed | {"time": clock.now().isoformat()}
    assert send(key, untimed, timed) == ["accepted", "accepted"]
    assert send(key, timed, untimed) == ["duplicate", "duplicate"]


def test_the_time_in_an_id_is_its_time(world: World, key: str) -> None:
    mine = world.stream()
    milliseconds = time.time_ns() // 1_000_000
    name = str(uuid.UUID(int=(milliseconds << 80) | (0x7 << 76) | (0x2 << 62) | next(_numbers)))
    untimed = event(mine, name, time=...)
    spelled = untimed | {"time": datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat()}
    assert send(key, untimed) == ["accepted"]
    assert send(key, untimed, spelled) == ["duplicate", "duplicate"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM ingest_event_ledger WHERE event_id = %s", [name])
        assert cursor.fetchone() == (0,), "the event table itself holds this identity"


# --- two roads ---


@dataclass
class Roads:
    """The same events by either road of the writer, each into a stream of its own."""

    world: World
    key: str
    streams: dict[str, Stream]

    def send(self, road: str, batch: list[dict[str, Any]]) -> list[str]:
        store.writer()._conflicts = 0.0 if road == "optimistic" else 1.0
        return send(self.key, *(item | {"type": self.streams[road].name} for item in batch))

    def rows(self, road: str, prefix: str) -> list[dict[str, Any]]:
        """What is stored, without what must differ; a time of receipt counts as none."""
        own = {"stream_id", "tx", "seq", "received_at"}
        return [
            {
                name: None if name == "occurred_at" and row["marks"] & 4 else value
                for name, value in row.items()
                if name not in own
            }
            for row in sorted(
                self.world.events(self.streams[road]), key=lambda row: (row["event_id"], row["seq"])
            )
            if row["event_id"].startswith(prefix)
        ]


@pytest.fixture(scope="module")
def roads(world: World, key: str) -> Roads:
    return Roads(world, key, {"optimistic": world.stream(), "slow": world.stream()})


picked = st.tuples(
    st.sampled_from("abc"),
    st.sampled_from(["now", "yesterday", "none"]),
    st.sampled_from(["x", "x", "y", "bad"]),
)


@given(st.lists(st.lists(picked, min_size=1, max_size=6), min_size=1, max_size=5))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_both_roads_store_the_same_and_say_the_same_as_a_model(
    roads: Roads, batches: list[list[tuple[str, str, str]]]
) -> None:
    prefix = f"road-{next(_numbers)}-"
    now = clock.now()
    times = {"now": now.isoformat(), "yesterday": (now - timedelta(days=1)).isoformat()}
    held: dict[tuple[str, str], str] = {}
    for batch in batches:
        events, expected = [], []
        for name, when, content in batch:
            data = {"order": 1} if content == "bad" else {"order": content}
            made = {
                "specversion": "1.0", "id": prefix + name, "source": "/roads", "data": data,
            }  # fmt: skip
            events.append(made if when == "none" else made | {"time": times[when]})
            if content == "bad":
                expected.append("schema_violation")
            elif (name, when) not in held:
                held[name, when] = content
                expected.append("accepted")
            else:
                same = held[name, when] == content
                expected.append("duplicate" if same else "id_conflict")
        for road in roads.streams:
            assert roads.send(road, events) == expected, road
    optimistic, slow = roads.rows("optimistic", prefix), roads.rows("slow", prefix)
    assert optimistic == slow
    assert len(slow) == len(held)


# --- two processes ---


class Server:
    """A web process of its own on the database of the tests."""

    def __init__(self) -> None:
        self.port = free_port()
        database = connection.settings_dict
        url = (
            f"postgresql://{database['USER']}:{database['PASSWORD']}@{database['HOST']}"
            f":{database['PORT']}/{database['NAME']}"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "portal.asgi:application", "--port", str(self.port),
             "--http", "portal.http.server:Protocol", "--ws", "none", "--log-level", "error",
             "--no-access-log"],
            cwd=ROOT,
            env=os.environ | {"DATABASE_URL": url, "PORTAL_PROCESS": "web"},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def wait(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            assert self.process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def send(self, key: str, *events: dict[str, Any]) -> Answer:
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            client.request(
                "POST", "/v1/events?results=all", json.dumps(events),
                {"Content-Type": MANY, "Authorization": f"Bearer {key}"},
            )  # fmt: skip
            answer = client.getresponse()
            return Answer(answer.status, {}, answer.read())
        finally:
            client.close()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture(scope="module")
def servers(world: World) -> Iterator[list[Server]]:
    assert django_settings.DATABASES["default"]["NAME"] != "portal"
    started = [Server(), Server()]
    try:
        for server in started:
            server.wait()
        yield started
    finally:
        for server in started:
            server.kill()


def deadlocks() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


def test_crossed_batches_of_two_processes_leave_each_event_once(
    world: World, servers: list[Server]
) -> None:
    """Both send the same ids in orders of their own, with and without times, good, bad and odd."""
    mine = world.stream()
    keys = [world.key(world.producer()), world.key(world.producer())]
    pool = [event(mine, f"crossed-{n}", time=... if n % 3 == 0 else clock.now().isoformat())
            for n in range(400)]  # fmt: skip
    before = deadlocks()
    answers: list[Answer] = []

    def client(place: int) -> None:
        source = random.Random(place)
        for _ in range(8):
            batch = source.sample(pool, 150)
            answers.append(servers[place % 2].send(keys[place % 2], *batch))

    threads = [threading.Thread(target=client, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status for answer in answers] == [202] * 32
    said = [outcome for answer in answers for outcome in outcomes(answer.json)]
    stored = [row["event_id"] for row in world.events(mine)]
    assert len(stored) == len(set(stored)) == said.count("accepted")
    assert set(said) == {"accepted", "duplicate"}
    assert deadlocks() == before
    assert world.dead_letters(mine) == []


def test_what_one_process_stored_another_knows_after_the_first_was_killed(
    world: World, servers: list[Server]
) -> None:
    mine = world.stream()
    key = world.key(world.producer())
    kept = [event(mine), event(mine, time=...), event(mine, data={"order": 1})]
    first = servers[0].send(key, *kept).json
    assert outcomes(first) == ["accepted", "accepted", "schema_violation"]
    servers[0].kill()
    again = servers[1].send(key, *kept, kept[0] | {"data": {"order": "b"}}).json
    assert outcomes(again) == ["duplicate", "duplicate", "schema_violation", "id_conflict"]
    assert again["results"][2]["dead_letter"] == first["results"][2]["dead_letter"]


def test_a_refused_event_that_two_processes_are_sent_at_once_has_one_dead_letter(
    world: World, servers: list[Server]
) -> None:
    """One of them only is a process of its own here: the other is this one."""
    mine = world.stream()
    key = world.key(world.producer())
    headers = {"content-type": MANY, "authorization": f"Bearer {key}"}

    def letters(answer: Answer) -> set[str]:
        return {result["dead_letter"] for result in answer.json["results"]}

    for turn in range(6):
        bad = [event(mine, f"bad-{turn}-{n}", data={"order": n}) for n in range(100)]
        with ThreadPoolExecutor() as threads:
            theirs = threads.submit(servers[1].send, key, *bad)
            ours = letters(post(json.dumps(bad).encode(), headers))
        assert letters(theirs.result()) == ours
    assert len(world.dead_letters(mine)) == 600
