"""Schemas made at random, changed at random: no document may disprove what the engine says.

Documents come from the engine's own guesses and from Hypothesis; the judge is the compiled
validator, which shares no code with the proofs.
"""

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.compatibility.budget import Budget
from catalog.compatibility.documents import read_document
from catalog.compatibility.emission import form_document
from catalog.compatibility.joined import Joins
from catalog.compatibility.nodes import Nodes, View
from catalog.compatibility.samples import samples
from catalog.compatibility.types import Direction, Mode, Policy
from portal.kernel.errors import InvalidError
from portal.kernel.json_schema import compile_schema
from tests.catalog.compatibility.asking import ask, written_in

NAMES = st.sampled_from(["a", "b", "ab", "x1"])
SCALARS: Any = st.sampled_from([0, 1, 2, 3, 1.5, -1, "", "a", "ab", "b", True, False, None])
COUNTS = st.integers(0, 3)


@st.composite
def schemas(draw: Any, depth: int = 2) -> Any:
    """A schema of a few keywords, nested up to `depth`."""
    if depth == 0 or draw(st.integers(0, 3)) == 0:
        return draw(PLAIN)
    inner = schemas(depth - 1)
    several = st.lists(inner, min_size=1, max_size=3)
    names = st.lists(NAMES, max_size=2, unique=True)
    either = st.one_of(st.booleans(), inner)
    keywords: dict[str, Any] = {
        "properties": st.dictionaries(NAMES, inner, max_size=3),
        "required": names,
        "additionalProperties": either,
        "patternProperties": st.dictionaries(st.sampled_from(["^a", "b$"]), inner, max_size=1),
        "minProperties": COUNTS,
        "maxProperties": COUNTS,
        "propertyNames": st.sampled_from([{"maxLength": 1}, {"pattern": "^a"}]),
        "dependentRequired": st.dictionaries(NAMES, names, max_size=1),
        "dependentSchemas": st.dictionaries(NAMES, inner, max_size=1),
        "unevaluatedProperties": either,
        "items": either,
        "prefixItems": several,
        "minItems": COUNTS,
        "maxItems": COUNTS,
        "uniqueItems": st.booleans(),
        "contains": inner,
        "unevaluatedItems": either,
        "allOf": several,
        "anyOf": several,
        "oneOf": several,
        "not": inner,
        "if": inner,
        "then": inner,
        "else": inner,
        "$ref": st.just("#/$defs/d"),
        "type": st.sampled_from(["object", "array", ["object", "array", "null"]]),
    }
    chosen = draw(st.lists(st.sampled_from(sorted(keywords)), min_size=1, max_size=4, unique=True))
    return {word: draw(keywords[word]) for word in chosen}


SCHEMAS = schemas()
PLAIN = st.one_of(
    st.sampled_from(
        [True, False, {}, {"type": "string"}, {"type": "integer"}, {"type": "number"},
         {"type": ["string", "integer"]}, {"type": "null"}, {"type": "boolean"},
         {"minimum": 1}, {"minimum": 1.5, "type": "integer"}, {"exclusiveMaximum": 3},
         {"multipleOf": 2}, {"multipleOf": 0.5}, {"type": "string", "minLength": 2},
         {"maxLength": 1}, {"pattern": "^a"}, {"type": "string", "pattern": "b"}]
    ),
    st.builds(lambda values: {"enum": values}, st.lists(SCALARS, min_size=1, max_size=3)),
    st.builds(lambda value: {"const": value}, SCALARS),
)  # fmt: skip
FLAT = st.one_of(
    SCALARS, st.lists(SCALARS, max_size=3), st.dictionaries(NAMES, SCALARS, max_size=3)
)
DOCUMENTS = st.one_of(FLAT, st.lists(FLAT, max_size=2), st.dictionaries(NAMES, FLAT, max_size=3))


def _places(schema: Any) -> list[tuple[Any, Any]]:
    """Where a part of a schema stands: its container and key there."""
    found: list[tuple[Any, Any]] = []
    todo = [schema]
    while todo:
        part = todo.pop()
        pairs = part.items() if isinstance(part, dict) else enumerate(part)
        for key, value in pairs:
            found.append((part, key))
            if isinstance(value, dict | list) and key not in ("enum", "required", "type"):
                todo.append(value)
    return found


@st.composite
def pairs(draw: Any) -> tuple[Any, Any]:
    """A schema and one that came of it by a change or two, in one document form."""

    def fresh() -> Any:
        # Hypothesis hands out the very objects it samples from. A second change to one that is
        # uncopied would change what all later examples are made of.
        return copy.deepcopy(draw(SCHEMAS))

    old = {"properties": {"v": draw(SCHEMAS)}, "$defs": {"d": draw(PLAIN)}}
    new = copy.deepcopy(old)
    for _ in range(draw(st.integers(1, 2))):
        places = _places(new["properties"])
        container, key = places[draw(st.integers(0, 10_000)) % len(places)]
        kind = draw(st.sampled_from(["drop", "other", "add"]))
        value = container[key]
        if kind == "add" and isinstance(value, dict) and key not in _MAPS:
            extra = fresh()
            value.update(extra if isinstance(extra, dict) else {})
        elif kind == "drop" and isinstance(container, dict) and key != "v":
            del container[key]
        elif isinstance(value, dict | bool) and key not in (*_MAPS, "uniqueItems"):
            container[key] = fresh()
    return written_in("2020-12", old), written_in("2020-12", new)


_MAPS = ("properties", "patternProperties", "dependentSchemas", "dependentRequired")


def _usable(schema: Any) -> bool:
    try:
        read_document(schema)
    except InvalidError:
        return False
    return True


def _guesses(old: Any, new: Any) -> list[Any]:
    joins = Joins(Nodes(), Budget(seconds=20))
    one, other = (
        joins.entry([joins.nodes.number(read_document(each), "", View.PLAIN)])
        for each in (old, new)
    )
    return samples(joins, one, other)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(pairs(), st.lists(DOCUMENTS, max_size=12))
def test_no_document_disproves_a_verdict(both: tuple[Any, Any], documents: list[Any]) -> None:
    old, new = both
    if not (_usable(old) and _usable(new)):
        return
    verdict = ask(old, new)
    readers = {Direction.BACKWARD: (old, new), Direction.FORWARD: (new, old)}
    broken = {one for difference in verdict.differences for one in difference.breaks}
    for direction, (left, right) in readers.items():
        if direction in broken:
            continue
        writer, reader = compile_schema(left), compile_schema(right)
        for value in [*({"v": one} for one in documents), *_guesses(left, right)]:
            if writer.is_valid(value):
                assert reader.is_valid(value), (direction, left, right, value)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(pairs(), st.sampled_from(list(Policy)))
def test_an_example_is_valid_on_one_side_only(both: tuple[Any, Any], policy: Policy) -> None:
    old, new = both
    if not (_usable(old) and _usable(new)):
        return
    verdict = ask(old, new, policy, Mode.FULL)
    joins = Joins(Nodes(), Budget(seconds=20))

    def form(schema: Any, view: View) -> Any:
        if policy is not Policy.READER_WRITER:
            return compile_schema(schema)
        number = joins.nodes.number(read_document(schema), "", view)
        return compile_schema(form_document(joins, number))

    forms = {
        Direction.BACKWARD: (form(old, View.WRITER), form(new, View.READER)),
        Direction.FORWARD: (form(new, View.WRITER), form(old, View.READER)),
    }
    for difference in verdict.differences:
        if difference.example is not None:
            assert any(
                left.is_valid(difference.example) and not right.is_valid(difference.example)
                for left, right in (forms[one] for one in difference.breaks)
            ), difference


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(SCHEMAS, st.sampled_from(list(Policy)))
def test_any_schema_is_compatible_with_itself(schema: Any, policy: Policy) -> None:
    whole = written_in("2020-12", {"properties": {"v": schema}, "$defs": {"d": {"type": "null"}}})
    if _usable(whole):
        verdict = ask(whole, copy.deepcopy(whole), policy)
        assert verdict.compatible, verdict.as_dict()


@pytest.mark.parametrize(
    ("kind", "keyword"), [("array", "unevaluatedItems"), ("object", "unevaluatedProperties")]
)
def test_what_an_inner_schema_takes_is_evaluated_for_the_outer(kind: str, keyword: str) -> None:
    whole = written_in("2020-12", {"type": kind})
    closed = written_in("2020-12", {"type": kind, "allOf": [{keyword: True}], keyword: False})
    value: Any = [{}] if kind == "array" else {"a": {}}
    assert compile_schema(closed).is_valid(value)
    assert ask(whole, closed).compatible
    assert not ask(whole, written_in("2020-12", {"type": kind, keyword: False})).compatible


@pytest.mark.parametrize(
    "around",
    [
        lambda part: part,
        lambda part: {"items": part},
        lambda part: {"contains": part},
        lambda part: {"not": part},
        lambda part: {"anyOf": [part, {"type": "string"}]},
        lambda part: {"if": part, "then": {"type": "string"}},
        lambda part: {"dependentSchemas": {"a": {"properties": {"b": part}}}},
        lambda part: {"unevaluatedProperties": part},
    ],
)
@pytest.mark.parametrize(
    ("one", "other"), [(0, False), (True, 1), ([0], [False]), ({"a": 1}, {"a": True})]
)
def test_true_is_not_1_wherever_it_stands(around: Any, one: Any, other: Any) -> None:
    old, new = ({"properties": {"v": around({"enum": [value]})}} for value in (one, other))
    verdict = ask(written_in("2020-12", old), written_in("2020-12", new))
    assert verdict.differences
    assert not verdict.compatible
