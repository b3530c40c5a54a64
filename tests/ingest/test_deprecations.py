"""What is on its way out: headers on the wire, counts of who still uses it, days that come."""

import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import orjson
import pytest
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.models import FieldExtension, Producer, SchemaVersion, Stream
from catalog.services.lifecycle import deprecate_version, retire_due_versions, supersede_version
from ingest.judging import admission, deprecations
from ingest.judging.admission import Directory, Listener, directory, publisher_of
from ingest.judging.pipeline import accept_events
from ingest.models import DeprecatedUse
from ingest.types import Mark
from portal.kernel import clock
from portal.kernel.actor import SYSTEM
from tests.ingest.conftest import ORDER_SCHEMA, Answer, World, post
from tests.support.live import wait_until

MANY = "application/cloudevents-batch+json"
STRICTER: dict[str, Any] = {
    **ORDER_SCHEMA,
    "properties": {**ORDER_SCHEMA["properties"], "order": {"type": "string", "maxLength": 3}},
}


def with_old_field(sunset: str | None = None, **more: Any) -> dict[str, Any]:
    old = {"type": "string", "deprecated": True} | ({"x-sunset": sunset} if sunset else {})
    return {
        "type": "object",
        "properties": {
            "order": {"type": "string"},
            "coupon": old,
            "lines": {
                "type": "array",
                "items": {"type": "object", "properties": {"sku.old": old, "sku": {}}},
            },
        },
        **more,
    }


def versions_of(world: World, *documents: Any) -> Stream:
    """A stream whose newest version is the default."""
    stream = world.stream(documents[0])
    for number, document in enumerate(documents[1:], 2):
        world.version(stream, number, document)
    Stream.objects.filter(pk=stream.pk).update(default_version=len(documents))
    stream.refresh_from_db()
    directory.forget()
    return stream


def version_of(stream: Stream, number: int) -> SchemaVersion:
    return stream.versions.select_related("stream").get(version=number)


def deprecate(stream: Stream, number: int, *, days: float = 30, **more: Any) -> None:
    deprecate_version(
        version_of(stream, number), actor=SYSTEM, sunset_at=clock.now() + timedelta(days=days),
        migration="Send the next.", **more,
    )  # fmt: skip
    directory.forget()


_ids = iter(range(10**9))


def event(stream: Stream, **changes: Any) -> dict[str, Any]:
    made = {
        "specversion": "1.0", "id": f"d{next(_ids)}", "source": "/tests", "type": stream.name,
        "time": clock.now().isoformat(), "data": {"order": "abc"},
    }  # fmt: skip
    return made | changes


@pytest.fixture(scope="module")
def sender(world: World) -> tuple[Producer, str]:
    producer = world.producer()
    return producer, world.key(producer)


def send(sender: tuple[Producer, str], *events: dict[str, Any], road: str = "raw") -> Answer:
    """The same request by the raw handler or by the Django view."""
    body = orjson.dumps(events)
    if road == "raw":
        return post(body, {"content-type": MANY, "authorization": f"Bearer {sender[1]}"})
    answer = Client().post(
        "/v1/events", body, content_type=MANY, HTTP_AUTHORIZATION=f"Bearer {sender[1]}"
    )
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return Answer(answer.status_code, headers, answer.content)


# --- headers ---


@pytest.mark.parametrize("road", ["raw", "view"])
def test_a_request_that_names_a_deprecated_version_is_told_when_it_ends(
    world: World, sender: tuple[Producer, str], road: str
) -> None:
    stream = versions_of(world, ORDER_SCHEMA, ORDER_SCHEMA, ORDER_SCHEMA)
    deprecate(stream, 1, days=30)
    deprecate(stream, 2, days=10)
    old, older = version_of(stream, 1), version_of(stream, 2)
    plain = send(sender, event(stream), road=road)
    assert plain.status == 202
    assert not {"deprecation", "sunset", "link"} & set(plain.headers)
    told = send(sender, event(stream), event(stream, dataschema="1"), road=road)
    assert told.json["results"] == [], "accepted as ever"
    assert old.deprecated_at is not None
    assert told.headers["deprecation"] == f"@{int(old.deprecated_at.timestamp())}"
    assert old.sunset_at is not None
    assert parsedate_to_datetime(told.headers["sunset"]) == old.sunset_at.replace(microsecond=0)
    assert told.headers["link"].endswith(
        f'/streams/{stream.name}/versions/>; rel="deprecation"; type="text/html"'
    )
    both = send(sender, event(stream, dataschema="1"), event(stream, dataschema="2"), road=road)
    assert older.sunset_at is not None
    assert parsedate_to_datetime(both.headers["sunset"]) == older.sunset_at.replace(microsecond=0)


@pytest.mark.parametrize("road", ["raw", "view"])
def test_a_deprecated_stream_is_told_of_too_without_a_day_when_none_was_said(
    world: World, sender: tuple[Producer, str], road: str
) -> None:
    stream = versions_of(world, ORDER_SCHEMA)
    since = clock.now()
    Stream.objects.filter(pk=stream.pk).update(lifecycle="deprecated", deprecated_at=since)
    directory.forget()
    answer = send(sender, event(stream), road=road)
    assert (answer.status, answer.headers["deprecation"]) == (202, f"@{int(since.timestamp())}")
    assert "sunset" not in answer.headers


def test_a_rehearsal_is_told_and_counts_nothing(world: World, sender: tuple[Producer, str]) -> None:
    stream = versions_of(world, ORDER_SCHEMA, ORDER_SCHEMA)
    deprecate(stream, 1)
    answer = post(
        orjson.dumps([event(stream, dataschema="1")]),
        {"content-type": MANY, "authorization": f"Bearer {sender[1]}"},
        query="dry_run=true",
    )
    assert "sunset" in answer.headers
    assert not DeprecatedUse.objects.filter(stream_id=stream.pk).exists()


# --- brownouts and the day itself ---


def in_time(
    attempt: Callable[[int], tuple[datetime, Stream, Answer]],
) -> tuple[datetime, Stream, Answer]:
    """The first attempt that was over before the moment it names, so many seconds from its begin:
    the machine may take longer than one for a request."""
    seconds = 1
    while True:
        found = attempt(seconds)
        if clock.now() < found[0] or seconds >= 16:
            return found
        seconds *= 4


@pytest.mark.parametrize("road", ["raw", "view"])
def test_in_a_brownout_the_version_is_refused_and_taken_again_after_it(
    world: World, sender: tuple[Producer, str], road: str
) -> None:

    def attempt(seconds: int) -> tuple[datetime, Stream, Answer]:
        stream = versions_of(world, ORDER_SCHEMA, ORDER_SCHEMA)
        now = clock.now()
        window = (now - timedelta(seconds=1), now + timedelta(seconds=seconds))
        deprecate(stream, 1, brownouts=[window])
        return window[1], stream, send(sender, event(stream, dataschema="1"), road=road)

    ends, stream, refused = in_time(attempt)
    assert refused.status == 422
    assert refused.json["results"][0]["reason"] == "version_retired"
    assert "sunset" in refused.headers, "and is told what it is"
    assert send(sender, event(stream), road=road).json["accepted"] == 1
    time.sleep(max((ends - clock.now()).total_seconds(), 0))
    assert send(sender, event(stream, dataschema="1"), road=road).json["accepted"] == 1


def test_on_its_day_a_version_is_refused_before_any_job_ran_and_then_retired_once(
    world: World, sender: tuple[Producer, str]
) -> None:

    def attempt(seconds: int) -> tuple[datetime, Stream, Answer]:
        stream = versions_of(world, ORDER_SCHEMA, ORDER_SCHEMA)
        deprecate(stream, 1, days=seconds / 86_400)
        ends = version_of(stream, 1).sunset_at
        assert ends is not None
        return ends, stream, send(sender, event(stream, dataschema="1"))

    ends, stream, taken = in_time(attempt)
    assert taken.json["accepted"] == 1
    time.sleep(max((ends - clock.now()).total_seconds(), 0))
    refused = send(sender, event(stream, dataschema="1")).json
    assert refused["results"][0]["reason"] == "version_retired"
    assert version_of(stream, 1).state == "deprecated"
    assert retire_due_versions() == 1
    assert retire_due_versions() == 0
    assert version_of(stream, 1).state == "retired"
    refused = send(sender, event(stream, dataschema="1"))
    assert refused.json["results"][0]["reason"] == "version_retired"
    assert "sunset" in refused.headers


def test_other_processes_learn_of_it_within_the_lifetime_of_what_they_remember(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory with a listener of its own is what another process has."""
    stream = versions_of(world, ORDER_SCHEMA, ORDER_SCHEMA)
    other, listener = listening(monkeypatch)
    try:
        now_us = deprecations.start_of(date(2030, 1, 1))

        def is_retired() -> bool:
            if other.missing({stream.name}):
                other.load_streams({stream.name})
            found = other.stream(stream.name)  # None when it was told of a change while it loaded
            return found is not None and found.versions[1].is_retired(now_us)

        assert not is_retired()
        deprecate_version(
            version_of(stream, 1), actor=SYSTEM, sunset_at=clock.now() + timedelta(days=1),
            migration="Send 2.",
        )  # fmt: skip
        wait_until(is_retired, "what the database tells")
    finally:
        listener.close()


def listening(monkeypatch: pytest.MonkeyPatch) -> tuple[Directory, Listener]:
    """A directory that learns of changes from the database alone, and its listener, which listens."""
    monkeypatch.setattr(admission, "LIFETIME_SECONDS", 3600.0)
    other = Directory()
    before = other._generation
    listener = Listener(other)
    # What may have changed before is forgotten as soon as it listens.
    wait_until(lambda: other._generation != before, "the listener")
    return other, listener


# --- corrections ---


@pytest.mark.parametrize("road", ["raw", "view", "inside"])
def test_events_of_a_corrected_version_are_judged_by_the_correction_and_say_so(
    world: World, sender: tuple[Producer, str], road: str
) -> None:
    stream = versions_of(world, ORDER_SCHEMA, STRICTER)
    supersede_version(version_of(stream, 2), corrects=1, actor=SYSTEM)
    directory.forget()
    events = [
        event(stream, dataschema="1"),
        event(stream, dataschema="1", data={"order": "abcd"}),
        event(stream, dataschema="2"),
    ]
    if road == "inside":
        answer: Any = accept_events(events, publisher=publisher_of(sender[0]))
    else:
        answer = send(sender, *events, road=road).json
    assert (answer["accepted"], answer["dead_lettered"]) == (2, 1)
    taken, refused = answer["results"]
    note = "names version 1; judged by version 2, which corrects it"
    assert (taken["index"], taken["status"], taken["note"]) == (0, "accepted", note)
    assert (refused["reason"], refused["note"]) == ("schema_violation", note)
    assert refused["errors"][0]["code"] == "maxLength"
    stored = {row["event_id"]: row for row in world.events(stream)}
    corrected, plain = stored[events[0]["id"]], stored[events[2]["id"]]
    assert (corrected["version"], bool(corrected["marks"] & Mark.CORRECTED)) == (2, True)
    assert (plain["version"], bool(plain["marks"] & Mark.CORRECTED)) == (2, False)


def test_a_correction_of_a_correction_judges_the_first_and_a_deprecated_one_still_does(
    world: World, sender: tuple[Producer, str]
) -> None:
    stream = versions_of(world, ORDER_SCHEMA, ORDER_SCHEMA, STRICTER, ORDER_SCHEMA)
    supersede_version(version_of(stream, 2), corrects=1, actor=SYSTEM)
    supersede_version(version_of(stream, 3), corrects=2, actor=SYSTEM)
    deprecate(stream, 3)
    refused = send(sender, event(stream, dataschema="1", data={"order": "abcd"})).json
    assert refused["results"][0]["note"] == (
        "names version 1; judged by version 3, which corrects it"
    )


# --- who still uses it ---


def uses(stream: Stream, sender: tuple[Producer, str]) -> dict[tuple[str, str], int]:
    rows = DeprecatedUse.objects.filter(stream_id=stream.pk, producer_id=sender[0].pk)
    return {(row.kind, row.name): row.events for row in rows}


def test_who_sends_a_deprecated_version_or_field_is_counted_once_an_accepted_event(
    world: World, sender: tuple[Producer, str]
) -> None:
    stream = versions_of(world, ORDER_SCHEMA, with_old_field())
    deprecate(stream, 1)
    twice = event(stream, data={"coupon": "a"})
    first = send(
        sender,
        event(stream, dataschema="1"),
        twice,
        event(stream, data={"coupon": None}),
        event(stream, data={"lines": [{}, {"sku.old": "x"}, {"sku.old": "y"}]}),
        event(stream),
    )
    assert (first.json["accepted"], first.json["dead_lettered"]) == (4, 1)
    assert send(sender, twice).json["duplicate"] == 1
    assert uses(stream, sender) == {
        ("version", "1"): 1, ("field", "coupon"): 1, ("field", "lines[].sku.old"): 1,
    }  # fmt: skip
    send(sender, event(stream, data={"coupon": "b"}))
    assert uses(stream, sender)["field", "coupon"] == 2


# --- fields whose day has come ---


def test_a_field_ends_on_its_day_and_the_ladder_decides_what_that_means(
    world: World, sender: tuple[Producer, str]
) -> None:
    today = clock.now().date()
    stream = versions_of(world, with_old_field(today.isoformat()))
    carrying = {"order": "a", "lines": [{"sku": 1}, {"sku.old": "x"}], "coupon": "c"}
    refused = send(sender, event(stream, data=carrying)).json["results"][0]
    assert refused["reason"] == "schema_violation"
    assert {(error["pointer"], error["code"]) for error in refused["errors"]} == {
        ("/data/coupon", "field_retired"), ("/data/lines/1/sku.old", "field_retired"),
    }  # fmt: skip
    assert str(today) in refused["errors"][0]["detail"]
    assert send(sender, event(stream)).json["accepted"] == 1
    Stream.objects.filter(pk=stream.pk).update(enforcement="warn")
    directory.forget()
    warned = send(sender, event(stream, data=carrying)).json
    assert (warned["accepted"], warned["results"][0]["errors"][0]["code"]) == (1, "field_retired")
    Stream.objects.filter(pk=stream.pk).update(enforcement="observe")
    directory.forget()
    observed = send(sender, event(stream, data=carrying)).json
    assert (observed["accepted"], observed["results"]) == (1, [])
    marks = [row["marks"] & Mark.VIOLATION for row in world.events(stream)]
    assert sorted(bool(mark) for mark in marks) == [False, True, True]


def test_a_day_to_come_an_approved_extension_and_a_required_field_refuse_nothing(
    world: World, sender: tuple[Producer, str]
) -> None:
    today = clock.now().date()
    carrying = {"order": "a", "coupon": "c"}
    later = versions_of(world, with_old_field((today + timedelta(days=1)).isoformat()))
    assert send(sender, event(later, data=carrying)).json["accepted"] == 1
    needed = versions_of(world, with_old_field(today.isoformat(), required=["coupon"]))
    assert send(sender, event(needed, data=carrying)).json["accepted"] == 1
    ended = versions_of(world, with_old_field(today.isoformat()))
    assert send(sender, event(ended, data=carrying)).json["dead_lettered"] == 1
    FieldExtension.objects.create(
        stream=ended, path="coupon", until_on=today + timedelta(days=5), reason="One more week.",
        approved_by="ada@test.example",
    )  # fmt: skip
    directory.forget()
    assert send(sender, event(ended, data=carrying)).json["accepted"] == 1
    FieldExtension.objects.filter(stream=ended).update(until_on=today)
    directory.forget()
    assert send(sender, event(ended, data=carrying)).json["dead_lettered"] == 1


def test_other_processes_learn_of_an_extension(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = versions_of(world, with_old_field("2026-01-01"))
    other, listener = listening(monkeypatch)
    try:
        other.load_streams({stream.name})
        FieldExtension.objects.create(
            stream=stream, path="coupon", until_on=date(2030, 1, 1), reason="Why.",
            approved_by="ada@test.example",
        )  # fmt: skip
        wait_until(lambda: bool(other.missing({stream.name})), "what the database tells")
        found = other.load_streams({stream.name})[stream.name]
        assert found.extended_us == {"coupon": deprecations.start_of(date(2030, 1, 1))}
    finally:
        listener.close()


def test_a_deprecated_alternative_does_not_end_the_field() -> None:
    either = {"anyOf": [{"type": "string"}, {"type": "integer", "deprecated": True}]}
    assert deprecations.plan_of({"properties": {"size": either}}) is None


NAMES = st.sampled_from(["a", "b", "c.d", "[]"])


@st.composite
def places(draw: Any, depth: int = 3) -> tuple[dict[str, Any], Any, list[str]]:
    """A schema, data of it, and the pointers of the deprecated fields that the data carries."""
    schema: dict[str, Any] = {"type": "object", "properties": {}}
    data: dict[str, Any] = {}
    carried: list[str] = []
    for name in draw(st.lists(NAMES, min_size=1, max_size=3, unique=True)):
        pointer = "/" + name
        inner: dict[str, Any] = {}
        value: Any = 1
        below: list[str] = []
        if depth and draw(st.booleans()):
            inner, value, below = draw(places(depth - 1))
            if draw(st.booleans()):
                count = draw(st.integers(0, 2))
                inner = {"type": "array", "items": inner}
                value = [value] * count
                below = [f"/0{rest}" for rest in below] if count else []
        is_old = draw(st.booleans())
        schema["properties"][name] = {**inner, "deprecated": is_old, "x-sunset": "2020-01-01"}
        if draw(st.booleans()):
            data[name] = value
            carried += ([pointer] if is_old else []) + [pointer + rest for rest in below]
    return schema, data, carried


@settings(max_examples=200, deadline=None)
@given(places())
def test_each_deprecated_field_is_found_where_the_data_carries_it(
    case: tuple[dict[str, Any], Any, list[str]],
) -> None:
    schema, data, expected = case
    plan = deprecations.plan_of(schema)
    if plan is None:
        assert expected == []
        return
    found = plan.ended(data, plan.carried(data), deprecations.start_of(date(2020, 1, 1)), {})
    assert {error.pointer for error in found} == {f"/data{pointer}" for pointer in expected}
