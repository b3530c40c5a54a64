"""The table of rules, row by row, in both directions and under each policy."""

from typing import Any

import pytest

from catalog.compatibility.types import Direction, Mode, Policy
from tests.catalog.compatibility.asking import (
    DRAFTS,
    STRICT,
    ask,
    backward,
    breaks,
    written_in,
)

STRING, INTEGER, NUMBER = {"type": "string"}, {"type": "integer"}, {"type": "number"}
A, B = {"properties": {"a": STRING}}, {"properties": {"b": STRING}}

# The first may become the second; the second may not become the first.
WIDENED: list[tuple[Any, Any]] = [
    ({"maximum": 5}, {"maximum": 6}),
    ({"maximum": 5}, {}),
    ({"exclusiveMaximum": 5}, {"exclusiveMaximum": 6}),
    ({"exclusiveMaximum": 5}, {"maximum": 5}),
    ({"exclusiveMaximum": 5}, {}),
    ({"minimum": 5}, {"minimum": 4}),
    ({"minimum": 5}, {}),
    ({"exclusiveMinimum": 5}, {"minimum": 5}),
    ({"exclusiveMinimum": 5}, {"exclusiveMinimum": 4}),
    ({"type": "integer", "minimum": 6}, {"type": "integer", "exclusiveMinimum": 4}),
    ({"multipleOf": 10}, {"multipleOf": 5}),
    ({"multipleOf": 0.1}, {"multipleOf": 0.05}),
    ({"multipleOf": 4}, {}),
    ({"maxLength": 5}, {"maxLength": 6}),
    ({"maxLength": 5}, {}),
    ({"minLength": 5}, {"minLength": 4}),
    ({"minLength": 5}, {}),
    ({"pattern": "^a+$"}, {}),
    ({"maxItems": 5}, {"maxItems": 6}),
    ({"maxItems": 5}, {}),
    ({"minItems": 5}, {"minItems": 4}),
    ({"minItems": 5}, {}),
    ({"uniqueItems": True}, {}),
    ({"uniqueItems": True}, {"uniqueItems": False}),
    ({"items": INTEGER}, {"items": NUMBER}),
    ({"items": INTEGER}, {}),
    ({"prefixItems": [STRING], "items": False}, {"prefixItems": [STRING, STRING], "items": False}),
    ({"prefixItems": [STRING, STRING]}, {"prefixItems": [STRING]}),
    (
        {"prefixItems": [STRING], "items": INTEGER},
        {"prefixItems": [STRING, NUMBER], "items": INTEGER},
    ),
    ({"prefixItems": [STRING], "items": False}, {"prefixItems": [STRING]}),
    ({"contains": INTEGER}, {"contains": NUMBER}),
    ({"contains": INTEGER}, {}),
    ({"contains": STRING, "minContains": 3}, {"contains": STRING, "minContains": 2}),
    ({"contains": STRING, "maxContains": 3}, {"contains": STRING, "maxContains": 4}),
    ({"contains": STRING, "maxContains": 3}, {"contains": STRING}),
    ({"maxProperties": 5}, {"maxProperties": 6}),
    ({"maxProperties": 5}, {}),
    ({"minProperties": 5}, {"minProperties": 4}),
    ({"minProperties": 5}, {}),
    ({"propertyNames": {"maxLength": 5}}, {"propertyNames": {"maxLength": 6}}),
    ({"propertyNames": {"pattern": "^a"}}, {}),
    ({"dependentRequired": {"a": ["b"]}}, {}),
    ({"dependentRequired": {"a": ["b", "c"]}}, {"dependentRequired": {"a": ["b"]}}),
    ({"dependentSchemas": {"a": {"required": ["b"]}}}, {}),
    (
        {"dependentSchemas": {"a": {"minProperties": 3}}},
        {"dependentSchemas": {"a": {"minProperties": 2}}},
    ),
    ({"additionalProperties": INTEGER}, {"additionalProperties": NUMBER}),
    ({"additionalProperties": INTEGER}, {}),
    ({"additionalProperties": False}, {"additionalProperties": INTEGER}),
    ({"patternProperties": {"^x": INTEGER}}, {"patternProperties": {"^x": NUMBER}}),
    ({"patternProperties": {"^x": INTEGER}}, {}),
    ({"unevaluatedProperties": False, **A}, A),
    ({"unevaluatedProperties": INTEGER, **A}, {"unevaluatedProperties": NUMBER, **A}),
    ({"unevaluatedItems": False, "prefixItems": [STRING]}, {"prefixItems": [STRING]}),
    ({"unevaluatedItems": INTEGER}, {"unevaluatedItems": NUMBER}),
    (INTEGER, NUMBER),
    (STRING, {"type": ["string", "null"]}),
    (STRING, {}),
    (False, STRING),
    ({"enum": ["a"]}, {"enum": ["a", "b"]}),
    ({"enum": ["a"]}, {}),
    ({"enum": ["a"]}, STRING),
    ({"type": "string", "enum": ["a"]}, STRING),
    ({"type": "string", "enum": ["a"]}, {"enum": ["a", 1]}),
    ({"const": "a"}, {"enum": ["a", "b"]}),
    ({"const": 1}, INTEGER),
    ({"oneOf": [STRING, INTEGER]}, {"oneOf": [STRING, INTEGER, {"type": "null"}]}),
    ({"anyOf": [STRING, INTEGER]}, {"anyOf": [{"type": "null"}, INTEGER, STRING]}),
    (STRING, {"oneOf": [STRING, INTEGER]}),
    (STRING, {"anyOf": [INTEGER, STRING]}),
    ({"anyOf": [{"maxLength": 3, **STRING}, STRING]}, {"type": ["string", "integer"]}),
    ({"allOf": [{"minimum": 1}, {"maximum": 5}]}, {"allOf": [{"maximum": 5}]}),
    ({"allOf": [A, B]}, {"allOf": [A]}),
    ({"not": {"type": ["string", "integer"]}}, {"not": STRING}),
    ({"not": STRING}, {}),
    ({"if": STRING, "then": {"maxLength": 3}}, {"if": STRING, "then": {"maxLength": 4}}),
    ({"if": STRING, "then": {"maxLength": 3}}, {}),
    ({"if": STRING, "then": False, "else": INTEGER}, INTEGER | {"type": ["integer", "null"]}),
    ({"format": "date"}, {}),
    (
        {"properties": {"a": False}, "additionalProperties": False},
        {"additionalProperties": INTEGER},
    ),
    ({"properties": {"a": INTEGER}, "required": ["a"]}, {"properties": {"a": INTEGER}}),
]
SAME: list[tuple[Any, Any]] = [
    (INTEGER, {"type": "number", "multipleOf": 1}),
    ({"type": "integer", "maxLength": 3}, INTEGER),
    ({"type": "integer", "exclusiveMinimum": 4}, {"type": "integer", "minimum": 5}),
    ({"const": "a"}, {"enum": ["a"]}),
    ({"type": "boolean"}, {"enum": [True, False]}),
    ({"type": "object", "allOf": [A, B]}, {"type": "object", "properties": A["properties"] | B["properties"]}),
    ({"anyOf": [STRING, INTEGER]}, {"type": ["string", "integer"]}),
    ({"oneOf": [STRING, INTEGER]}, {"anyOf": [INTEGER, STRING]}),
    ({"allOf": [STRING, INTEGER]}, False),
    ({"minimum": 3, "maximum": 2, "type": "number"}, False),
    ({"$defs": {"s": STRING}, "$ref": "#/$defs/s"}, STRING),
    ({"$id": "https://x.test/a", "$ref": "b", "$defs": {"s": {"$id": "b", **STRING}}}, STRING),
    ({"$ref": "#s", "$defs": {"s": {"$anchor": "s", **STRING}}}, STRING),
    ({"not": {"not": STRING}}, STRING),
    ({"properties": {"a": {}}}, {}),
    ({"minLength": 0, "minItems": 0, "minProperties": 0, "pattern": ".*"}, {}),
    ({"type": "string", "title": "t", "description": "d", "examples": [1], "default": 1, "$comment": "c", "x-own": 1}, STRING),
    ({"type": "string", "format": "color"}, STRING),
    ({"if": STRING, "then": INTEGER}, {"not": STRING}),
]  # fmt: skip


@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize(("narrow", "wide"), WIDENED)
def test_a_keyword_may_widen_and_not_narrow(narrow: Any, wide: Any, policy: Policy) -> None:
    models = {"additionalProperties", "patternProperties", "unevaluatedProperties", "allOf"}
    if policy is not STRICT and isinstance(narrow, dict) and narrow.keys() & models:
        policy = STRICT  # content models under the other policies: test_policies
    old, new = (
        {"type": "object", "required": ["v"], "properties": {"v": v}} for v in (narrow, wide)
    )
    assert backward(old, new, policy)
    assert not backward(new, old, policy)


@pytest.mark.parametrize(("narrow", "wide"), WIDENED)
def test_a_narrowed_keyword_is_explained_with_a_checked_example(narrow: Any, wide: Any) -> None:
    old, new = ({"properties": {"v": value}} for value in (wide, narrow))
    verdict = ask(old, new, mode=Mode.BACKWARD)
    assert not verdict.compatible
    assert any(d.example is not None for d in verdict.differences if Direction.BACKWARD in d.breaks)
    assert all(d.remedy and d.detail for d in verdict.differences if d.breaks)


@pytest.mark.parametrize(("one", "other"), SAME)
def test_what_means_the_same_is_no_break(one: Any, other: Any) -> None:
    assert ask(one, other).compatible
    assert ask(other, one).compatible


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (STRING, INTEGER),
        ({"enum": ["a", "b"]}, {"enum": ["a", "c"]}),
        ({"pattern": "^a"}, {"pattern": "^b"}),
        ({"format": "date"}, {"format": "uri"}),
        ({"multipleOf": 4}, {"multipleOf": 6}),
        ({"const": 1}, {"const": 2}),
        ({"properties": {"a": STRING}}, {"properties": {"a": INTEGER}}),
        ({"oneOf": [STRING, INTEGER]}, {"oneOf": [STRING, {"type": "boolean"}]}),
    ],
)
def test_a_changed_keyword_breaks_both_directions(one: Any, other: Any) -> None:
    assert breaks(ask(one, other)) == set(Direction)


def test_an_alternative_that_overlaps_another_of_oneof_breaks() -> None:
    old = {"oneOf": [STRING, INTEGER]}
    verdict = ask(old, {"oneOf": [STRING, INTEGER, NUMBER]}, mode=Mode.BACKWARD)
    assert not verdict.compatible
    added = next(d for d in verdict.differences if d.change == "alternative_added")
    assert isinstance(added.example, int)


def test_a_condition_that_no_proof_and_no_example_decides_is_undecided() -> None:
    old = {"type": "string", "pattern": "^[ab]{3}$"}
    new = old | {"if": {"pattern": "^abb$"}, "then": {"pattern": "^ba"}}
    verdict = ask(old, new, mode=Mode.BACKWARD)
    assert (verdict.compatible, verdict.undecided) == (False, True)


def test_a_raised_classification_is_told_and_breaks_nothing() -> None:
    old = {"properties": {"a": {"type": "string"}}}
    new = {"properties": {"a": {"type": "string", "x-classification": "personal"}}}
    verdict = ask(old, new)
    assert verdict.compatible
    assert [(d.change, d.path) for d in verdict.differences] == [("classification_raised", "a")]


@pytest.mark.parametrize("draft", DRAFTS)
@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        (INTEGER, NUMBER),
        ({"maximum": 5}, {"maximum": 6}),
        ({"enum": ["a"]}, {"enum": ["a", "b"]}),
        ({"properties": {"a": INTEGER}}, {"properties": {"a": NUMBER}}),
        ({"anyOf": [STRING]}, {"anyOf": [STRING, INTEGER]}),
        ({"dependencies": {"a": ["b"]}}, {}),
        ({"format": "date-time"}, {}),
    ],
)
def test_each_draft_follows_the_rules(narrow: Any, wide: Any, draft: str) -> None:
    old, new = written_in(draft, narrow), written_in(draft, wide)
    assert backward(old, new)
    assert not backward(new, old)
