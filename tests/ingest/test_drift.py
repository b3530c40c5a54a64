"""What is set aside: ingest and the compatibility engine mean the same by the writer's form."""

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from catalog.compatibility.budget import Budget
from catalog.compatibility.documents import read_document
from catalog.compatibility.joined import Joins
from catalog.compatibility.nodes import Nodes, View
from catalog.compatibility.samples import samples
from catalog.compatibility.values import accepts
from ingest.judging.drift import join, plan_of
from portal.kernel.json_schema import compile_schema
from tests.catalog.compatibility.asking import READER_WRITER, ask, written_in
from tests.catalog.compatibility.test_soundness import DOCUMENTS, PLAIN, SCHEMAS, _usable

STRING, INTEGER, BARE = {"type": "string"}, {"type": "integer"}, {"type": "object"}


def listing(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def split(schema: Any, data: Any) -> tuple[Any, Any]:
    plan = plan_of(schema)
    return plan.split(data) if plan is not None else (data, None)


class Form:
    """The writer's form of a schema, as the engine has it."""

    def __init__(self, schema: Any) -> None:
        self.joins = Joins(Nodes(), Budget(seconds=20))
        number = self.joins.nodes.number(read_document(schema), "", View.WRITER)
        self.key = self.joins.entry([number])

    def takes(self, value: Any) -> bool:
        return accepts(self.joins, self.key, value)

    def guesses(self) -> list[Any]:
        return samples(self.joins, self.key, self.key)


@pytest.mark.parametrize(
    ("schema", "data", "extra"),
    [
        (listing(a=STRING), {"a": "x", "b": 1}, {"/b": 1}),
        (listing(a=STRING) | {"additionalProperties": True}, {"a": "x", "b": 1}, {"/b": 1}),
        (listing(a=STRING) | {"additionalProperties": {}}, {"a": "x", "b": 1}, {"/b": 1}),
        (listing(), {"b": 1}, {"/b": 1}),
        (BARE, {"b": 1}, None),
        (listing(m=BARE), {"m": {"b": 1}, "n": 2}, {"/n": 2}),
        (listing(a=STRING) | {"additionalProperties": INTEGER}, {"a": "x", "b": 1}, None),
        (listing(a=STRING) | {"propertyNames": {"maxLength": 9}}, {"a": "x", "b": 1}, None),
        (listing(a=STRING) | {"minProperties": 2}, {"a": "x", "b": 1}, None),
        (listing(a=STRING) | {"patternProperties": {"^x": INTEGER}}, {"x1": 1, "b": 1}, {"/b": 1}),
        (listing(a=STRING) | {"required": ["b"]}, {"b": 1, "c": 1}, {"/c": 1}),
        (
            listing(a=STRING) | {"additionalProperties": listing(x=INTEGER)},
            {"k": {"x": 1, "y": 2}}, {"/k/y": 2},
        ),
        (
            listing(a={"type": "array", "items": listing(x=INTEGER)}),
            {"a": [{"x": 1}, {"x": 1, "y": 2}]}, {"/a/1/y": 2},
        ),
        (
            listing(a={"type": "array", "uniqueItems": True, "items": listing(x=INTEGER)}),
            {"a": [{"x": 1}, {"x": 1, "y": 2}]}, None,
        ),
        (
            {"type": "object", "allOf": [listing(a=listing(x=INTEGER)), listing(a=listing(y=STRING))]},
            {"a": {"x": 1, "y": "s", "z": 0}}, {"/a/z": 0},
        ),
        (
            {"anyOf": [listing(a=INTEGER), listing(b=INTEGER)]},
            {"a": 1, "b": 2, "c": 3}, {"/c": 3},
        ),
        ({"anyOf": [listing(a=INTEGER), BARE]}, {"a": 1, "c": 3}, None),
        (
            listing(k=STRING) | {"if": {"properties": {"k": {"const": "m"}}},
                                 "then": {"properties": {"m": INTEGER}}},
            {"k": "m", "m": 1, "z": 2}, {"/z": 2},
        ),
        (listing(a=STRING) | {"not": {"required": ["b", "c"]}}, {"b": 1, "z": 1}, {"/z": 1}),
        (listing(a=listing(x=INTEGER)) | {"enum": [{"a": {"y": 1}}]}, {"a": {"y": 1}}, None),
        (
            {"$defs": {"n": listing(v=INTEGER, next={"$ref": "#/$defs/n"})}, "$ref": "#/$defs/n"},
            {"v": 1, "next": {"v": 2, "next": {"w": 3}}}, {"/next/next/w": 3},
        ),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_set_aside_follows_the_content_model(schema: Any, data: Any, extra: Any) -> None:
    before = copy.deepcopy(data)
    kept, aside = split(schema, data)
    assert aside == extra
    assert data == before, "what is given is not changed"
    assert Form(schema).takes(kept)
    assert join(copy.deepcopy(kept), aside or {}) == data


def test_a_free_form_map_is_open_to_the_engine_as_it_is_to_ingest() -> None:
    old, new = listing(m=BARE), listing(m=listing(x=INTEGER))
    kept, extra = split(old, {"m": {"x": "text"}})
    assert extra is None
    assert not compile_schema(new).is_valid(kept), "stored under old, refused by new"
    assert not ask(old, new, READER_WRITER).compatible
    assert ask(listing(m=listing()), new, READER_WRITER).compatible, "listed as having none"


WHOLE = st.builds(
    lambda inner, other: written_in("2020-12", {"properties": {"v": inner}, "$defs": {"d": other}}),
    SCHEMAS,
    PLAIN,
)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(WHOLE, st.lists(DOCUMENTS, min_size=3, max_size=12))
def test_what_ingest_keeps_is_in_the_form_that_the_engine_compares(
    schema: Any, documents: list[Any]
) -> None:
    assume(_usable(schema))
    validator, form, plan = compile_schema(schema), Form(schema), plan_of(schema)
    for value in [*({"v": one} for one in documents), *form.guesses()]:
        if not validator.is_valid(value):
            continue
        kept, extra = plan.split(value) if plan is not None else (value, None)
        assert plan is None or plan.is_closed_over(value) == (extra is None)
        assert form.takes(kept), (schema, value, kept)
        assert validator.is_valid(kept), (schema, value, kept)
        assert join(copy.deepcopy(kept), extra or {}) == value
        again = plan.split(kept) if plan is not None else (kept, None)
        assert again == (kept, None), "once is enough"


FEW = st.sampled_from(["a", "b", "c"])


@st.composite
def objects(draw: Any, depth: int = 3) -> Any:
    """Schemas of nested objects whose parts meet: where closing one could mislead another."""
    if depth == 0:
        return draw(st.sampled_from([{}, {"type": "integer"}, {"type": "object"}, listing()]))
    inner = objects(depth - 1)
    schema: dict[str, Any] = {"properties": draw(st.dictionaries(FEW, inner, max_size=2))}
    kind = draw(st.integers(0, 9))
    if kind <= 3:
        word = ("allOf", "anyOf", "oneOf", "allOf")[kind]
        schema[word] = draw(st.lists(inner, min_size=2, max_size=2))
    elif kind == 4:
        schema = {"type": "array", "items": schema, "uniqueItems": draw(st.booleans())}
    elif kind == 5:
        schema["maxProperties"] = draw(st.integers(0, 2))
    elif kind == 6:
        schema["required"] = draw(st.lists(FEW, max_size=2, unique=True))
    elif kind == 7:
        schema["not"] = draw(inner)
    elif kind == 8:
        schema |= {"if": draw(inner), "then": draw(inner)}
    return schema


NESTED = st.recursive(
    st.sampled_from([1, "x", {}]),
    lambda inner: st.one_of(
        st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), inner, max_size=3),
        st.lists(inner, max_size=2),
    ),
    max_leaves=8,
)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(objects(), st.lists(NESTED, min_size=8, max_size=16))
def test_setting_aside_changes_no_verdict_where_schemas_meet(
    inner: Any, documents: list[Any]
) -> None:
    schema = written_in("2020-12", inner)
    assume(_usable(schema))
    validator, form, plan = compile_schema(schema), Form(schema), plan_of(schema)
    for value in documents:
        kept, extra = plan.split(value) if plan is not None else (value, None)
        assert validator.is_valid(kept) == validator.is_valid(value), (schema, value, kept)
        assert not validator.is_valid(value) or form.takes(kept), (schema, value, kept)
        assert join(copy.deepcopy(kept), extra or {}) == value


CONDITIONAL = ("anyOf", "oneOf", "not", "if", "dependentSchemas", "contains")


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(WHOLE, st.lists(DOCUMENTS, min_size=3, max_size=12))
def test_what_is_in_the_form_is_kept_whole_where_all_schemas_certainly_apply(
    schema: Any, documents: list[Any]
) -> None:
    assume(_usable(schema) and not any(f"'{word}'" in str(schema) for word in CONDITIONAL))
    form, plan = Form(schema), plan_of(schema)
    for value in [*({"v": one} for one in documents), *form.guesses()]:
        if form.takes(value) and plan is not None:
            assert plan.split(value) == (value, None), (schema, value)
