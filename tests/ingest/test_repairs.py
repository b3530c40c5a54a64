"""The steps of a repair: each kind, its bounds, and what is suggested from a fault."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.letters.repairs import KINDS, StepError, compile_steps
from ingest.letters.suggestions import suggest
from portal.kernel.cel import CelError, compile_expression
from portal.kernel.errors import InvalidError

names = st.sampled_from(["a", "b", "a/b", "~", "0", "ä"])
scalars = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text("ab1-. é", max_size=20)
)
values = st.recursive(
    scalars | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


def event(data: Any, **attributes: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "id": "e1", "source": "/s", "type": "t", "data": data,
            **attributes}  # fmt: skip


def put_right(data: Any, *steps: dict[str, Any]) -> Any:
    return compile_steps(steps).apply(event(data))["data"]


@pytest.mark.parametrize(
    ("step", "before", "after"),
    [
        ({"do": "rename", "at": "/data/a", "to": "/data/b"}, {"a": 1}, {"b": 1}),
        ({"do": "rename", "at": "/data/l/*/a", "to": "/data/l/*/b"},
         {"l": [{"a": 1}, {"c": 2}]}, {"l": [{"b": 1}, {"c": 2}]}),
        ({"do": "cast", "at": "/data/a", "to": "integer"}, {"a": " 12400 "}, {"a": 12400}),
        ({"do": "cast", "at": "/data/a", "to": "integer"}, {"a": 5.0}, {"a": 5}),
        ({"do": "cast", "at": "/data/l/*", "to": "number"}, {"l": ["1.5", 2]}, {"l": [1.5, 2]}),
        ({"do": "cast", "at": "/data/a", "to": "string"}, {"a": True}, {"a": "true"}),
        ({"do": "cast", "at": "/data/a", "to": "boolean"}, {"a": "FALSE"}, {"a": False}),
        ({"do": "cast", "at": "/data/a", "to": "date-time"}, {"a": 1767225600},
         {"a": "2026-01-01T00:00:00Z"}),
        ({"do": "cast", "at": "/data/a", "to": "date-time"}, {"a": "1767225600500"},
         {"a": "2026-01-01T00:00:00.500000Z"}),
        ({"do": "default", "at": "/data/a", "value": {"x": 1}}, {}, {"a": {"x": 1}}),
        ({"do": "default", "at": "/data/a", "value": 1}, {"a": None}, {"a": None}),
        ({"do": "remove", "at": "/data/l/*/a"}, {"l": [{"a": 1, "b": 2}]}, {"l": [{"b": 2}]}),
        ({"do": "remove", "at": "/data/l/*"}, {"l": [1, 2, 3]}, {"l": []}),
        ({"do": "replace", "at": "/data/d", "pattern": r"^(\d\d)\.(\d\d)\.(\d{4})$",
          "with": r"\3-\2-\1"}, {"d": "31.12.2026"}, {"d": "2026-12-31"}),
        ({"do": "map", "at": "/data/c", "values": {"eur": "EUR"}}, {"c": "eur"}, {"c": "EUR"}),
        ({"do": "map", "at": "/data/c", "values": {"eur": "EUR"}}, {"c": 5}, {"c": 5}),
        ({"do": "compute", "at": "/data/sum", "expression": "data.a + data.b"},
         {"a": 1, "b": 2}, {"a": 1, "b": 2, "sum": 3}),
        ({"do": "compute", "at": "/data/a", "expression": "value == null ? 0 : value"}, {}, {"a": 0}),
    ],
)  # fmt: skip
def test_a_step_does_what_it_says(step: dict[str, Any], before: Any, after: Any) -> None:
    assert put_right(before, step) == after


@pytest.mark.parametrize(
    ("step", "data"),
    [
        ({"do": "cast", "at": "/data/a", "to": "integer"}, {"a": "NaN"}),
        ({"do": "cast", "at": "/data/a", "to": "integer"}, {"a": "9" * 19}),
        ({"do": "cast", "at": "/data/a", "to": "integer"}, {"a": 1.5}),
        ({"do": "cast", "at": "/data/a", "to": "number"}, {"a": "1e999"}),
        ({"do": "cast", "at": "/data/a", "to": "string"}, {"a": {}}),
        ({"do": "cast", "at": "/data/a", "to": "boolean"}, {"a": 7}),
        ({"do": "cast", "at": "/data/a", "to": "date-time"}, {"a": "soon"}),
        ({"do": "rename", "at": "/data/a", "to": "/data/b"}, {"a": 1, "b": 2}),
        ({"do": "rename", "at": "/data/a", "to": "/data/x/y"}, {"a": 1}),
        ({"do": "replace", "at": "/data/a", "pattern": "x", "with": "y"}, {"a": 1}),
        ({"do": "replace", "at": "/data/a", "pattern": "", "with": "y"}, None),
        ({"do": "compute", "at": "/data/a", "expression": "int(value)"}, {"a": "secret-value"}),
        ({"do": "compute", "at": "/data/a", "expression": "double('NaN')"}, {"a": 1}),
    ],
)
def test_a_step_that_cannot_do_its_work_names_the_place_and_no_value(
    step: dict[str, Any], data: Any
) -> None:
    if data is None:  # a pattern that matches everywhere is refused when it is declared
        with pytest.raises(InvalidError):
            compile_steps([step])
        return
    with pytest.raises(StepError) as caught:
        put_right(data, step)
    assert caught.value.pointer.startswith("/data/")
    assert "secret-value" not in caught.value.detail


@pytest.mark.parametrize(
    "steps",
    [
        "x", {}, [1], [{}], [{"do": "erase", "at": "/data"}], [{"do": "remove"}],
        [{"do": "remove", "at": "data/a"}], [{"do": "remove", "at": "/"}],
        [{"do": "remove", "at": "/id"}], [{"do": "remove", "at": "/source"}],
        [{"do": "remove", "at": "/specversion"}], [{"do": "rename", "at": "/data/a", "to": "/id"}],
        [{"do": "compute", "at": "/id", "expression": "1"}],
        [{"do": "remove", "at": "/time/a"}], [{"do": "remove", "at": "/data/a", "more": 1}],
        [{"do": "cast", "at": "/data/a", "to": "money"}],
        [{"do": "rename", "at": "/data/a", "to": "/data/a/b"}],
        [{"do": "rename", "at": "/data/l/*/a", "to": "/data/b"}],
        [{"do": "replace", "at": "/data/a", "pattern": "(", "with": ""}],
        [{"do": "replace", "at": "/data/a", "pattern": "(a)", "with": r"\2"}],
        [{"do": "replace", "at": "/data/a", "pattern": r"(a)\1", "with": ""}],
        [{"do": "map", "at": "/data/a", "values": {"a": []}}],
        [{"do": "default", "at": "/data/a", "value": "x" * 5000}],
        [{"do": "compute", "at": "/data/a", "expression": "value +"}],
        [{"do": "compute", "at": "/data/a", "expression": "nothing"}],
        [{"do": "compute", "at": "/data/a", "expression": "1+" * 600 + "1"}],
        [{"do": "remove", "at": "/data/a"}] * 21,
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_its_place(steps: Any) -> None:
    with pytest.raises(InvalidError) as caught:
        compile_steps(steps)
    assert caught.value.errors[0].pointer.startswith("/steps")


STEPS: dict[str, dict[str, Any]] = {
    "rename": {"to": "/data/b"}, "cast": {"to": "string"}, "default": {"value": 1}, "remove": {},
    "replace": {"pattern": "a", "with": "b"}, "map": {"values": {"a": "b"}},
    "compute": {"expression": "value"},
}  # fmt: skip


@given(kind=st.sampled_from(sorted(KINDS)), data=values)
def test_no_event_makes_a_step_fail_otherwise_and_its_identity_stays(kind: str, data: Any) -> None:
    steps = compile_steps([{"do": kind, "at": "/data/a", **STEPS[kind]}])
    before = event(data)
    kept = json.dumps(before)
    try:
        after = steps.apply(before)
    except StepError:
        after = before
    identity = {name: after[name] for name in ("id", "source", "specversion")}
    assert identity == {"id": "e1", "source": "/s", "specversion": "1.0"}
    json.dumps(after, allow_nan=False)
    assert json.dumps(before) == kept, "the event it was given is left alone"


@given(number=st.integers(-(2**63), 2**63 - 1))
def test_whole_numbers_survive_being_text(number: int) -> None:
    cast = {"do": "cast", "at": "/data/a"}
    there = {**cast, "to": "string"}
    assert put_right({"a": number}, there, {**cast, "to": "integer"}) == {"a": number}


@given(at=st.datetimes(datetime(1975, 1, 1), datetime(2099, 1, 1)))  # noqa: DTZ001  # naive first
def test_seconds_become_the_time_they_are(at: datetime) -> None:
    moment = at.replace(microsecond=0, tzinfo=UTC)
    step = {"do": "cast", "at": "/data/a", "to": "date-time"}
    said = put_right({"a": int(moment.timestamp())}, step)["a"]
    assert datetime.fromisoformat(said) == moment


def test_an_expression_is_bounded_in_steps_parts_and_text() -> None:
    tens = "[1,2,3,4,5,6,7,8,9,10]"
    loops = f"{tens}.map(a, {tens}.map(b, {tens}.map(c, {tens}.map(d, {tens}.map(e, e)))))"
    for text, said in (
        (loops, "budget"),
        (f"{tens}.map(x, {tens}.map(y, value))", "text"),
        ("event.data.big", "parts"),
    ):
        expression = compile_expression(text, ("event", "value"))
        with pytest.raises(CelError, match=said):
            expression.value({"event": {"data": {"big": [1] * 20_000}}, "value": "x" * 60_000})
    with pytest.raises(InvalidError):
        compile_expression("(" * 300 + "1" + ")" * 300, ("value",))


SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "buffer_ms": {"type": "integer"},
        "currency": {"enum": ["EUR", "USD"]},
        "locale": {"type": "string", "default": "en"},
        "at": {"type": "string", "format": "date-time"},
        "day": {"type": "string", "format": "date"},
        "code": {"type": "string", "maxLength": 3},
        "items": {"type": "array", "items": {"$ref": "#/$defs/item"}},
    },
    "required": ["buffer_ms"],
    "additionalProperties": False,
    "$defs": {"item": {"type": "object", "properties": {"price": {"type": "number"}}}},
}


def fault(pointer: str, code: str, detail: str = "") -> list[dict[str, str]]:
    return [{"pointer": pointer, "code": code, "detail": detail}]


@pytest.mark.parametrize(
    ("errors", "data", "after"),
    [
        (fault("/data/buffer_ms", "type"), {"buffer_ms": "12400"}, {"buffer_ms": 12400}),
        (fault("/data/buffer_ms", "type"), {"buffer_ms": "7194137 ms"}, {"buffer_ms": 7194137}),
        (fault("/data/items/3/price", "type"), {"items": [{"price": "12.50 EUR"}]},
         {"items": [{"price": 12.5}]}),
        (fault("/data/items/3/price", "type"), {"items": [{"price": "1.5"}]},
         {"items": [{"price": 1.5}]}),
        (fault("/data/currency", "enum"), {"currency": "eur"}, {"currency": "EUR"}),
        (fault("/data", "required", "must have the property locale"), {}, {"locale": "en"}),
        (fault("/data", "required", "must have the property buffer_ms"), {"bufferMs": 1},
         {"buffer_ms": 1}),
        (fault("/data", "additionalProperties"), {"bufferMs": 1}, {"buffer_ms": 1}),
        (fault("/data", "additionalProperties"), {"zzz": 1}, {}),
        (fault("/data/at", "format"), {"at": 1767225600}, {"at": "2026-01-01T00:00:00Z"}),
        (fault("/data/day", "format"), {"day": "31.12.2026"}, {"day": "2026-12-31"}),
        (fault("/data/day", "format"), {"day": "2026-12-31T10:00:00Z"}, {"day": "2026-12-31"}),
        (fault("/data/code", "maxLength"), {"code": "EURO"}, {"code": "EUR"}),
    ],
)  # fmt: skip
def test_a_repair_is_written_from_the_fault(
    errors: list[dict[str, str]], data: Any, after: Any
) -> None:
    found = suggest(errors, SCHEMA, event=event(data))
    assert found
    assert compile_steps(found[0].steps).apply(event(data))["data"] == after
    assert found[0].said


def test_several_faults_are_put_right_by_one_repair() -> None:
    errors = fault("/data/buffer_ms", "type") + fault("/data/currency", "enum")
    (first, *_) = suggest(errors, SCHEMA)
    assert [step["do"] for step in first.steps] == ["cast", "map"]


def test_nothing_is_suggested_where_nothing_is_plain_or_only_the_event_would_say() -> None:
    assert suggest(fault("/data/x/y", "minimum"), SCHEMA) == []
    assert suggest(fault("", "malformed_json"), None) == []
    for text in ("soon", "1.5 s", "12 of 20"):  # no step makes a whole number of it
        found = suggest(fault("/data/buffer_ms", "type"), SCHEMA, event=event({"buffer_ms": text}))
        assert found == [], text
    assert suggest(fault("/data/buffer_ms", "type"), SCHEMA) != [], "the value is not known"
    renamed = fault("/data", "required", "must have the property buffer_ms")
    assert suggest(renamed, SCHEMA, event=None) == []
    (meant,) = suggest(fault("/type", "unknown_stream"), None, streams=["shop.order_paid"],
                       event=event({}, type="shop.orderPaid"))  # fmt: skip
    assert meant.steps[0]["expression"] == "'shop.order_paid'"
