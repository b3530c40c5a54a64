"""Fields with a life of their own leave stored events; everything else stays as it was sent."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from catalog.field_lives import days_of, over, truncated, unreadable_in
from catalog.models import Stream
from ingest.log.partitions import start_of
from ingest.models import FieldExpiry, StorageRun
from ingest.services import field_expiry
from ingest.services.field_expiry import expire_fields
from ingest.types import Mark
from portal.kernel import clock
from tests.ingest.conftest import World
from tests.ingest.storing import make_days, store

NOW = start_of(clock.now().date()) - timedelta(days=5)
SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "order": {"type": "string"},
        "mail": {"type": "string", "x-retention": "P7D"},
        "paid": {"type": "number"},
        "ip": {"type": "string", "x-retention": 3, "x-privacy": "truncate"},
        "people": {"type": "array", "items": {"$ref": "#/$defs/person"}},
    },
    "$defs": {
        "person": {
            "properties": {"name": {"x-retention": "P1W"}, "age": {}, "tags": {
                "items": {"x-retention": "P7D"}}}
        }
    },
}  # fmt: skip
FULL = (
    '{"order": "a", "mail": "m", "paid": 1.10, "ip": "10.1.2.3", "people":'
    ' [{"name": "n", "age": 12345678901234567890, "tags": ["x", null]}, {"age": 1}]}'
)
GONE = (
    '{"ip": "10.1.0.0", "paid": 1.10, "order": "a", "people": [{"age": 12345678901234567890,'
    ' "tags": [null, null]}, {"age": 1}]}'
)


@pytest.fixture(autouse=True)
def _clean(world: World) -> Iterator[None]:
    make_days(*(NOW - timedelta(days=days) for days in range(12)))
    yield
    FieldExpiry.objects.all().delete()
    StorageRun.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM ingest_event")


def stored(stream: Stream, name: str) -> tuple[str, int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT data::text, marks FROM ingest_event WHERE stream_id = %s AND event_id = %s",
            [stream.pk, name],
        )
        text, marks = cursor.fetchone()
        return str(text), int(marks)


def test_each_field_leaves_when_its_own_life_is_over_and_numbers_stay_as_sent(
    world: World,
) -> None:
    stream = world.stream(SCHEMA)
    week, days = NOW - timedelta(days=7), NOW - timedelta(days=3)
    store(stream, week - timedelta(microseconds=1), "old", text=FULL)
    store(stream, week, "week", text=FULL)
    store(stream, days, "days", text=FULL)
    with clock.at(NOW):
        assert expire_fields()["events_changed"] == 3
        assert expire_fields().get("events_changed", 0) == 0
    assert stored(stream, "old") == (
        GONE,
        Mark.FIELDS_EXPIRED,
    )
    assert json.loads(stored(stream, "week")[0])["mail"] == "m"
    assert json.loads(stored(stream, "week")[0])["ip"] == "10.1.0.0"
    assert stored(stream, "days") == (_printed(FULL), 0)


def _printed(text: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::jsonb::text", [text])
        return str(cursor.fetchone()[0])


def test_an_event_that_came_late_is_found_by_its_position(world: World) -> None:
    stream = world.stream(SCHEMA)
    with clock.at(NOW):
        expire_fields()
        store(stream, NOW - timedelta(days=10), "late", text=FULL)
        assert expire_fields()["events_changed"] == 2  # once for each life
    assert "mail" not in stored(stream, "late")[0]


def test_a_new_contract_is_followed_through_all_that_is_stored(world: World) -> None:
    stream = world.stream(SCHEMA)
    store(stream, NOW - timedelta(days=10), text='{"order": "a"}')
    with clock.at(NOW):
        assert expire_fields().get("events_changed") == 0
        other = {"type": "object", "properties": {"order": {"x-retention": "P2D"}}}
        world.version(stream, 2, other)
        Stream.objects.filter(pk=stream.pk).update(default_version=2)
        assert expire_fields()["events_changed"] == 1
    assert stored(stream, "e1") == ("{}", Mark.FIELDS_EXPIRED)


def test_a_run_that_dies_in_a_batch_is_gone_on_with(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = world.stream(SCHEMA)
    for number in range(6):
        store(stream, NOW - timedelta(days=10, minutes=number), f"e{number}", text=FULL)
    monkeypatch.setattr(field_expiry, "BATCH", 2)
    original, calls = field_expiry._take_out, 0

    def dies(*args: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        original(*args)

    with clock.at(NOW):
        with monkeypatch.context() as patch:
            patch.setattr(field_expiry, "_take_out", dies)
            with pytest.raises(KeyboardInterrupt):
                expire_fields()
        expire_fields()
    assert not any("mail" in stored(stream, f"e{number}")[0] for number in range(6))


@pytest.mark.parametrize(
    ("said", "days"),
    [(30, 30), ("P30D", 30), ("P2W", 14), ("P1Y2M", 425), (0, None), (True, None), ("P", None),
     ("30 days", None), ("PT1H", None), (None, None), (-1, None)],
)  # fmt: skip
def test_lives_are_days_or_durations(said: object, days: int | None) -> None:
    assert days_of(said) == days


def test_a_life_that_cannot_be_read_is_named() -> None:
    assert unreadable_in({"properties": {"a": {"x-retention": "soon"}}}) == ["soon"]


@pytest.mark.parametrize(
    ("value", "coarse"),
    [("2026-11-26", "2026-11-01"), ("2026-11-26T10:00:00+01:00", "2026-11-01T00:00:00Z"),
     ("10.1.2.3", "10.1.0.0"), ("2001:db8:1:2::3", "2001:db8::"), (1234, 1000), (-1234, -1000),
     (12.7, 10.0), (0, 0), ("Ada", None), (True, None), (None, None)],
)  # fmt: skip
def test_truncating_is_coarse_and_truncating_again_changes_nothing(
    value: object, coarse: object
) -> None:
    assert truncated(value) == coarse
    assert truncated(coarse) == coarse


def test_what_cannot_be_truncated_is_taken_out() -> None:
    schema = {"properties": {"a": {"x-retention": 1, "x-privacy": "truncate"}}}
    (change,) = over([schema], {"a": "Ada", "b": 1}, 2)
    assert (change.path, change.value) == (("a",), None)
    assert over([schema], {"a": "10.1.0.0"}, 2) == []
    assert over([schema], {"a": "Ada"}, 0) == []
