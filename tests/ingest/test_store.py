"""Tests of the writer against a real PostgreSQL."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from django.db import connection

from ingest.log import exchange
from ingest.log.connection import connect
from ingest.log.store import close_writer
from portal.kernel import clock, sql
from tests.ingest.conftest import World, post


def test_the_same_event_three_times_is_accepted_once_and_twice_a_duplicate(world: World) -> None:
    stream = world.stream()
    key = world.key(world.producer())
    event = {"specversion": "1.0", "id": "1", "source": "/s", "type": stream.name}
    body = json.dumps(event | {"data": {"order": "a"}}).encode()
    headers = {"content-type": "application/cloudevents+json", "authorization": f"Bearer {key}"}
    answers = [json.loads(post(body, headers).body) for _ in range(3)]
    assert [answer["accepted"] for answer in answers] == [1, 0, 0]
    assert [answer["duplicate"] for answer in answers] == [0, 1, 1]
    assert len(world.events(stream)) == 1
    assert world.dead_letters(stream) == []


def test_a_refused_event_that_is_sent_again_keeps_the_dead_letter_it_has(world: World) -> None:
    stream = world.stream()
    key, other = world.key(world.producer()), world.key(world.producer())
    event = {"specversion": "1.0", "id": "1", "source": "/s", "type": stream.name, "data": {}}
    batch = json.dumps([event, event | {"id": "2"}, event]).encode()
    headers = {"content-type": "application/cloudevents-batch+json"}

    def letters(who: str) -> list[str]:
        answer = post(batch, headers | {"authorization": f"Bearer {who}"}).json
        assert answer["dead_lettered"] == answer["received"] == 3
        return [result["dead_letter"] for result in answer["results"]]

    first = letters(key)
    assert first[0] == first[2] != first[1]
    assert letters(key) == first
    assert {str(row["id"]) for row in world.dead_letters(stream)} == set(first)
    assert set(letters(other)).isdisjoint(first)
    assert len(world.dead_letters(stream)) == 4


def accounts(stream_id: int) -> tuple[int, int, int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(received)::int, sum(accepted)::int, sum(duplicate)::int"
            " FROM ingest_ingestminute WHERE stream_id = %s",
            [stream_id],
        )
        found: tuple[int, int, int] = cursor.fetchone()
        return found


def test_two_writers_that_count_for_one_stream_do_not_wait_for_each_other(world: World) -> None:
    stream, producer = world.stream(), world.producer()
    adds = sql.load("ingest", "add_to_accounts")
    minute = clock.now().replace(second=0, microsecond=0)
    numbers: dict[str, list[Any]] = {
        name: [0] for name in ("duplicate", "dead_lettered", "invalid", "violations", "drift")
    }
    numbers |= {"streams": [stream.pk], "minutes": [minute], "producers": [producer.pk]}
    numbers |= {"received": [2], "accepted": [2]}
    with ExitStack() as opened:
        writers: dict[int, Any] = {}  # by slot
        while len(writers) < 2:
            made = opened.enter_context(connect())
            writers.setdefault(made.info.backend_pid % 16, made)
        for made in writers.values():
            made.execute("SET LOCAL lock_timeout = '2s'")
            made.execute(adds, numbers)
            made.execute(adds, numbers)
    assert accounts(stream.pk) == (8, 8, 0)


def test_tables_of_another_version_are_no_fault_of_who_sends(world: World) -> None:
    stream, key = world.stream(), world.key(world.producer())
    headers = {"content-type": "application/cloudevents+json", "authorization": f"Bearer {key}"}
    event = {
        "specversion": "1.0", "id": "1", "source": "/s", "type": stream.name,
        "time": clock.now().isoformat(), "data": {"order": "a"},
    }  # fmt: skip
    rename = "ALTER TABLE ingest_ingestminute RENAME COLUMN {} TO {}"
    with connection.cursor() as cursor:
        cursor.execute(rename.format("slot", "place"))
        try:
            refused = post(json.dumps(event).encode(), headers)
        finally:
            cursor.execute(rename.format("place", "slot"))
    assert (refused.status, refused.json["code"]) == (503, "unavailable")
    assert int(refused.headers["retry-after"]) >= 1
    assert post(json.dumps(event).encode(), headers).json["accepted"] == 1


def test_plain_events_go_in_one_exchange_and_what_it_cannot_store_goes_the_long_way(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, key = world.stream(), world.key(world.producer())
    headers = {
        "content-type": "application/cloudevents-batch+json", "authorization": f"Bearer {key}",
    }  # fmt: skip
    sent: list[int] = []
    store = exchange.store

    def counting(*arguments: Any) -> None:
        sent.append(len(arguments[2]))
        store(*arguments)

    monkeypatch.setattr(exchange, "store", counting)
    at = clock.now().isoformat()

    def event(number: int, **others: Any) -> dict[str, Any]:
        return {
            "specversion": "1.0", "id": f"{number}", "source": "/s", "type": stream.name,
            "time": at, "data": {"order": "a"}, **others,
        }  # fmt: skip

    def outcome(*events: dict[str, Any]) -> tuple[int, int, int]:
        said = post(json.dumps(events).encode(), headers).json
        return said["accepted"], said["duplicate"], said["dead_lettered"]

    assert outcome(event(0)) == (1, 0, 0)  # its source is new, which has to be written as well
    assert sent == []
    large = [event(number, data={"order": "x" * 2000}) for number in range(1, 301)]
    assert outcome(*large) == (300, 0, 0)
    assert sent == [300]
    assert outcome(event(301), event(301)) == (1, 1, 0)  # the same twice within it
    assert outcome(event(302), event(303, data={})) == (1, 0, 1)
    assert sent == [300]
    assert outcome(event(304), event(302)) == (1, 1, 0)  # tried, and then told apart
    assert sent == [300, 2]
    assert len(world.events(stream)) == 304
    assert accounts(stream.pk) == (307, 304, 2)


def test_behind_a_proxy_that_pools_transactions_nothing_has_to_be_prepared(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    close_writer()  # the next one makes a connection of its own
    monkeypatch.setitem(connection.settings_dict, "DISABLE_SERVER_SIDE_CURSORS", True)
    stream, key = world.stream(), world.key(world.producer())
    headers = {"content-type": "application/cloudevents+json", "authorization": f"Bearer {key}"}
    event = {
        "specversion": "1.0", "source": "/s", "type": stream.name, "time": clock.now().isoformat(),
        "data": {"order": "a"},
    }  # fmt: skip
    sent: list[int] = []
    store = exchange.store

    def counting(*arguments: Any) -> None:
        store(*arguments)
        sent.append(arguments[0].execute("SELECT count(*) FROM pg_prepared_statements"
                                         " WHERE name = 'ingest_accounts'").fetchone()[0])  # fmt: skip
        arguments[0].rollback()

    monkeypatch.setattr(exchange, "store", counting)
    for number in range(3):
        said = post(json.dumps(event | {"id": str(number)}).encode(), headers)
        assert said.status == 202
    assert sent == [0, 0]  # the first one's source was new
    assert accounts(stream.pk) == (3, 3, 0)
    close_writer()


def test_a_connection_that_breaks_after_the_rows_were_sent_is_a_503_and_a_retry_converges(
    world: World,
) -> None:
    stream, key = world.stream(), world.key(world.producer())
    headers = {"content-type": "application/cloudevents+json", "authorization": f"Bearer {key}"}
    event = {
        "specversion": "1.0", "source": "/s", "type": stream.name, "time": clock.now().isoformat(),
        "data": {"order": "a"},
    }  # fmt: skip
    assert post(json.dumps(event | {"id": "0"}).encode(), headers).status == 202
    body = json.dumps(event | {"id": "1"}).encode()
    with connect() as other, connect(autocommit=True) as killer, ThreadPoolExecutor(1) as pool:
        other.execute("LOCK TABLE ingest_ingestminute IN ACCESS EXCLUSIVE MODE")
        answer = pool.submit(post, body, headers)
        deadline = time.monotonic() + 60
        killed = 0
        while not killed and time.monotonic() < deadline:
            killed = killer.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE query LIKE 'COPY ingest_event%EXECUTE%' AND wait_event_type = 'Lock'"
            ).rowcount
        assert killed == 1
        assert answer.result(60).status == 503
        other.rollback()
    said = post(body, headers).json
    assert (said["accepted"], said["duplicate"]) == (1, 0)
    assert len(world.events(stream)) == 2
    assert accounts(stream.pk) == (2, 2, 0)
