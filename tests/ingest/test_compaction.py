"""Streams of state keep the newest event of each key, and everything of the last day."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from catalog.models import Stream
from catalog.services.streams import change_stream
from ingest.models import StorageRun
from ingest.services import compaction, storage_runs
from ingest.services.compaction import compact_state
from portal.kernel import clock
from portal.kernel.actor import SYSTEM
from portal.kernel.errors import InvalidError
from tests.ingest.conftest import World
from tests.ingest.storing import ids, make_days, store

NOW = clock.now()


@pytest.fixture(autouse=True)
def _clean(world: World) -> Iterator[None]:
    make_days(*(NOW - timedelta(days=days) for days in range(10)))
    yield
    StorageRun.objects.all().delete()
    Stream.objects.filter(domain=world.domain).update(is_state=False)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM ingest_event")


def put(stream: Stream, name: str, hours: float, **fields: Any) -> None:
    store(stream, NOW - timedelta(hours=hours), name, **fields)


def test_the_newest_of_each_key_stays(world: World) -> None:
    stream, other = world.stream(is_state=True), world.stream()
    put(stream, "a1", 100, subject="a")
    put(stream, "a2", 50, subject="a")
    put(stream, "a3-key", 60, subject="a", attributes={"partitionkey": "k"})
    put(stream, "k-newer", 40, subject="b", attributes={"partitionkey": "k"})
    put(stream, "a-young", 23, subject="a")
    put(stream, "none1", 90)
    put(stream, "none2", 80)
    put(other, "x1", 100, subject="a")
    put(other, "x2", 90, subject="a")
    with clock.at(NOW):
        assert compact_state()["events_deleted"] == 2
        assert compact_state().get("events_deleted", 0) == 0
    assert ids(stream) == ["a-young", "a2", "k-newer", "none1", "none2"]
    assert ids(other) == ["x1", "x2"]


def test_of_one_moment_the_later_position_stays(world: World) -> None:
    stream = world.stream(is_state=True)
    put(stream, "second", 50, subject="a")
    put(stream, "first", 50, subject="a")
    with clock.at(NOW):
        compact_state()
    assert ids(stream) == ["first"]


def test_a_pointer_into_the_data_is_the_key(world: World) -> None:
    stream = world.stream(is_state=True, state_key="/who/a~1b")
    for name, hours, who in (("one", 90, "x"), ("two", 80, "x"), ("three", 70, "y")):
        put(stream, name, hours, data={"who": {"a/b": who}}, subject="same")
    with clock.at(NOW):
        compact_state()
    assert ids(stream) == ["three", "two"]


def test_a_run_that_dies_is_gone_on_with(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = world.stream(is_state=True)
    for number in range(7):
        put(stream, f"e{number}", 90 - number, subject="a")
    monkeypatch.setattr(compaction, "BATCH", 2)
    original = storage_runs.Run.add

    def die(run: storage_runs.Run, name: str, count: int) -> None:
        original(run, name, count)
        raise KeyboardInterrupt

    with clock.at(NOW):
        with monkeypatch.context() as patch:
            patch.setattr(storage_runs.Run, "add", die)
            with pytest.raises(KeyboardInterrupt):
                compact_state()
        assert ids(stream) == ["e2", "e3", "e4", "e5", "e6"]
        compact_state()
    assert ids(stream) == ["e6"]


@pytest.mark.parametrize("key", ["who", "/a~2", "/" + "x" * 255])
def test_a_key_that_is_no_pointer_is_refused(world: World, key: str) -> None:
    with pytest.raises(InvalidError):
        change_stream(world.stream(), {"state_key": key}, actor=SYSTEM)
