"""The short way and the full way of an event end alike: same envelope, same row, same refusal."""

import copy
import re
import time
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ingest.judging.admission import Directory, Publisher, StreamEntry, VersionEntry
from ingest.judging.contract import Contract
from ingest.judging.pipeline import Batch
from ingest.log.group import Item
from ingest.protocols import cloudevents, heads
from ingest.times import TimeError, parse_recent_us, parse_us
from ingest.types import Envelope, Mark
from portal.kernel import strict_json

NOW_US = parse_us("2026-11-26T07:00:00Z")
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "n": {"type": "integer", "minimum": 0},
        "price": {"type": "number"},
        "inner": {"type": "object", "properties": {"a": {"type": "string"}}},
        "list": {"type": "array", "items": {"type": "object", "properties": {"x": {}}}},
    },
}
EVENT: dict[str, Any] = {
    "specversion": "1.0", "id": "one", "source": "/shop", "type": "shop.order_placed",
    "time": "2026-11-26T06:59:59.5Z", "subject": "c1", "producerversion": "9.1",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "data": {"n": 1},
}  # fmt: skip
_ODD: st.SearchStrategy[Any] = st.sampled_from(
    [
        None, "", "x", "ü", " ", "a\nb", "x" * 129, "x" * 300, 1, True, False, 1.5, [], {}, ["x"],
        "2026-11-26T06:59:59Z", "2026-11-26T06:59:60Z", "2026-11-26", "9999-12-31T23:59:59-14:00",
        "/shop", "shop.order_placed", "1.0", "application/json", "text/plain", "1", "not a uri",
    ]
)  # fmt: skip
_NAMES = st.sampled_from(
    [*EVENT, "dataschema", "datacontenttype", "environment", "partitionkey", "context", "Upper",
     "data_base64"]
)  # fmt: skip


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    """An ordinary event with a few members changed, added, taken away or put elsewhere."""
    event = copy.deepcopy(EVENT)
    for _ in range(draw(st.integers(0, 3))):
        name = draw(_NAMES)
        if draw(st.booleans()):
            event.pop(name, None)
        else:
            event[name] = draw(_ODD)
    if draw(st.booleans()):
        event = dict(draw(st.permutations(list(event.items()))))
    return event


def in_full(event: dict[str, Any]) -> Envelope:
    raw = orjson.dumps(event)
    return cloudevents._envelope(strict_json.read(raw, suspicious=True), raw)


def without_help(envelope: Envelope) -> Envelope:
    return msgspec.structs.replace(envelope, head=None)


@settings(max_examples=500, deadline=None)
@given(events(), events())
def test_an_event_with_a_known_head_is_read_as_in_full(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    for event in (EVENT, first, second, first, second):
        raw = orjson.dumps(event)
        assert without_help(cloudevents.read_structured(raw)) == in_full(event)
        sent = orjson.loads(raw)
        known = heads.find(sent)
        if known is not None:
            found = heads.envelope_of(known, sent, raw, cloudevents.STRUCTURED)
            assert without_help(found) == in_full(event)


def test_the_second_event_of_a_kind_is_known() -> None:
    cloudevents.read_structured(orjson.dumps(EVENT))
    event = EVENT | {"id": "two", "time": "2026-11-26T06:00:00Z", "data": {"n": 2}}
    assert heads.find(event) is not None
    assert heads.find(event | {"source": "/elsewhere"}) is None


@given(
    st.one_of(
        st.from_regex(
            r"2026-1[012]-2[0-9]T0[67]:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z", fullmatch=True
        ),
        st.from_regex(r"2026-11-26T07:0[0-9]:[0-9٠²._+-]{1,9}[Zz]?", fullmatch=True),
        st.sampled_from(["", "Z", "2026-11-26T07:00:00.Z", "2026-11-26T07:00:0Z"]),
    )
)
def test_a_time_is_read_alike_both_ways(text: str) -> None:
    def read(parse: Any) -> int | str:
        try:
            return int(parse(text))
        except TimeError as error:
            return error.code

    parse_recent_us("2026-11-26T07:00:00Z")
    assert read(parse_recent_us) == read(parse_us) == read(parse_recent_us)


def world() -> tuple[Publisher, Directory]:
    stream = StreamEntry(
        id=7, name="shop.order_placed", names=frozenset({"shop.order_placed"}),
        track=0, enforcement="enforce",
        moments_us=(NOW_US - 600_000_000,), moved_us=NOW_US - 600_000_000,
        sets_aside=True, late_us=3_600_000_000, ahead_us=60_000_000, is_retired=False,
        is_restricted=False, owner_team_id=None, default_version=1,
        versions={1: VersionEntry(1, "active", "", "", None)},
    )  # fmt: skip
    publisher = Publisher(
        id=3, name="shop", team_id=None, key_id="k", stream_ids=frozenset({7}), patterns=(),
        key_pattern=re.compile(".*"), sources=frozenset(), seen_sources={"/shop"},
        events_per_second=None, origins=frozenset(),
    )  # fmt: skip
    directory = Directory()
    directory._streams[stream.name] = (stream, time.monotonic() + 3600)
    directory._contracts[7, 1, True] = Contract(SCHEMA, version=1, sets_aside=True)
    return publisher, directory


def judged(envelope: Envelope, publisher: Publisher, directory: Directory) -> tuple[Item, Batch]:
    batch = Batch(publisher, NOW_US, directory)
    assert not batch.names_to_load([envelope])
    batch.take(envelope)
    return batch.items[0], batch


def offered(texts: list[bytes], publisher: Publisher, directory: Directory) -> list[Item]:
    """The outcome of a body of lines, each event by the shortest way there is for it."""
    batch = Batch(publisher, NOW_US, directory)
    for run in cloudevents.runs_of_lines(b"\n".join(texts), cloudevents.unbounded):
        batch.offer(run)
    for _ in batch.take_waiting():
        pass
    return batch.items


_DATA: st.SearchStrategy[Any] = st.one_of(
    st.fixed_dictionaries(
        {},
        optional={
            "n": st.one_of(st.integers(-2, 5), st.just(1.0), st.just("1")),
            "price": st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.just(2.0)),
            "inner": st.fixed_dictionaries({"a": st.text(max_size=3)}, optional={"b": st.none()}),
            "list": st.lists(st.fixed_dictionaries({}, optional={"x": st.none(), "y": st.none()})),
            "more": st.none(),
        },
    ),
    st.none(),
    st.just([]),
)


@settings(max_examples=300, deadline=None)
@given(
    data=_DATA,
    moment=st.sampled_from(
        ["2026-11-26T06:59:59.5Z", "2026-11-26T06:40:00Z", "2026-11-26T05:00:00Z",
         "2026-11-26T07:05:00Z"]
    ),
    subject=st.one_of(st.none(), st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4)),
    own=st.booleans(),
)  # fmt: skip
def test_both_ways_store_the_same_row(
    data: Any, moment: str, subject: str | None, own: bool
) -> None:
    event = EVENT | {"time": moment, "subject": subject, "data": data}
    if not own:
        del event["traceparent"]
    raw = orjson.dumps(event)
    publisher, directory = world()
    # Teach the head, and the route by an event that is surely accepted.
    sure = event | {"time": EVENT["time"], "data": {"n": 1}}
    for _ in range(2):
        envelope = cloudevents.read_structured(orjson.dumps(sure))
        judged(envelope, publisher, directory)
    known = cloudevents.read_structured(raw)
    assume(known.head is not None)  # not so for numbers that need the exact scan
    assert known.head in directory.routes_of(publisher)
    waited, _ = judged(known, publisher, directory)
    full, _ = judged(in_full(event), publisher, directory)
    for short in (waited, *offered([raw] * 2 + [orjson.dumps(sure)] * 8, publisher, directory)[:2]):
        assert short.packed == full.packed
        assert short.content_hash == full.content_hash
        assert (short.reason, short.errors, short.marks, short.track, short.key) == (
            full.reason, full.errors, full.marks, full.track, full.key,
        )  # fmt: skip
        assert without_help(short.envelope).raw == raw


def test_an_event_that_drifts_need_not_wait() -> None:
    publisher, directory = world()
    for _ in range(2):
        judged(cloudevents.read_structured(orjson.dumps(EVENT)), publisher, directory)
    batch = Batch(publisher, NOW_US, directory)
    fits, drifts, breaks = (
        orjson.dumps(EVENT | {"data": data}) for data in ({"n": 2}, {"n": 3, "new": 1}, {"n": -1})
    )
    for run in cloudevents.runs_of_lines(b"\n".join((fits, drifts, breaks)), cloudevents.unbounded):
        batch.offer(run)
    assert [place for place, _ in batch.waiting] == [2]
    assert [item.marks for item in batch.items[:2]] == [Mark.NONE, Mark.DRIFT]


@pytest.mark.parametrize("change", ["forget", "later"])
def test_a_route_lives_no_longer_than_what_it_rests_on(
    change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher, directory = world()
    directory.routes_of(publisher)["a head"] = "a route"
    assert directory.routes_of(publisher)
    if change == "forget":
        directory.forget()
    else:
        later = time.monotonic() + 6
        monkeypatch.setattr("ingest.judging.admission.time.monotonic", lambda: later)
    assert not directory.routes_of(publisher)
