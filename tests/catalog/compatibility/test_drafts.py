"""Each draft is read in its own words; different drafts are compared by what they mean."""

from typing import Any

import pytest

from catalog.compatibility import dialects
from catalog.compatibility.types import Mode, Policy
from portal.kernel.errors import InvalidError
from portal.kernel.json_schema import compile_schema
from tests.catalog.compatibility.asking import DRAFTS, ask, backward, written_in

STRING, INTEGER = {"type": "string"}, {"type": "integer"}
# One schema in the words of two drafts.
SPELLINGS: list[tuple[str, Any, str, Any]] = [
    ("4", {"minimum": 1, "exclusiveMinimum": True}, "7", {"exclusiveMinimum": 1}),
    ("4", {"maximum": 1, "exclusiveMaximum": False}, "2020-12", {"maximum": 1}),
    ("7", {"items": [STRING], "additionalItems": False}, "2020-12", {"prefixItems": [STRING], "items": False}),
    ("2019-09", {"items": [STRING], "additionalItems": INTEGER}, "2020-12", {"prefixItems": [STRING], "items": INTEGER}),
    ("7", {"definitions": {"s": STRING}, "$ref": "#/definitions/s"}, "2020-12", {"$defs": {"t": STRING}, "$ref": "#/$defs/t"}),
    ("7", {"dependencies": {"a": ["b"]}}, "2020-12", {"dependentRequired": {"a": ["b"]}}),
    ("7", {"dependencies": {"a": {"required": ["b"]}}}, "2020-12", {"dependentSchemas": {"a": {"required": ["b"]}}}),
    ("7", {"$ref": "#/definitions/s", "maxLength": 3, "definitions": {"s": STRING}}, "7", STRING),
    ("2019-09", {"$ref": "#/$defs/s", "maxLength": 3, "$defs": {"s": STRING}}, "2020-12", STRING | {"maxLength": 3}),
    ("4", {"const": 1, "contains": STRING, "propertyNames": False}, "4", {}),
    ("6", {"if": True, "then": False}, "6", {}),
    ("7", {"unevaluatedProperties": False, "minContains": 3}, "7", {}),
    ("2019-09", {"prefixItems": [STRING]}, "2019-09", {}),
    ("6", {"allOf": [{"$ref": "#s"}], "definitions": {"s": {"$id": "#s", **STRING}}}, "7", STRING),
    ("4", {"allOf": [{"$ref": "#s"}], "definitions": {"s": {"id": "#s", **STRING}}}, "7", STRING),
    ("2019-09", {"properties": {"a": {"$recursiveRef": "#"}}}, "2020-12", {"properties": {"a": {"$ref": "#"}}}),
    ("2020-12", {"$dynamicAnchor": "n", "properties": {"a": {"$dynamicRef": "#n"}}}, "7", {"properties": {"a": {"$ref": "#"}}}),
    ("7", {"format": "uuid"}, "7", {}),
]  # fmt: skip


@pytest.mark.parametrize(("draft", "schema", "other_draft", "other"), SPELLINGS)
def test_two_drafts_that_mean_the_same_are_compatible(
    draft: str, schema: Any, other_draft: str, other: Any
) -> None:
    one, two = written_in(draft, schema), written_in(other_draft, other)
    assert ask(one, two).compatible
    assert ask(two, one).compatible


def test_an_integer_of_draft_4_is_narrower_than_a_later_one() -> None:
    assert backward(written_in("4", INTEGER), written_in("7", INTEGER))
    assert not backward(written_in("7", INTEGER), written_in("4", INTEGER))


def test_the_https_spelling_is_the_same_dialect_and_an_unknown_one_is_noted() -> None:
    seven = {"$schema": "https://json-schema.org/draft-07/schema#", "items": [STRING]}
    assert ask(seven, written_in("2020-12", {"prefixItems": [STRING]})).notes == ()
    unknown = {"$schema": "https://example.org/own", "prefixItems": [STRING]}
    verdict = ask(seven, unknown)
    assert verdict.compatible
    assert len(verdict.notes) == 1


@pytest.mark.parametrize("draft", DRAFTS)
def test_the_formats_listed_are_those_that_the_validator_asserts(draft: str) -> None:
    known = dialects.FORMATS["2020-12"]
    asserted = {
        name
        for name in known
        if not compile_schema(written_in(draft, {"format": name})).is_valid("\x00 %% {[")
    }
    assert asserted == dialects.FORMATS[draft]


PROBES: list[tuple[str, Any, Any]] = [
    ("const", {"const": 1}, 2),
    ("contains", {"contains": STRING}, [1]),
    ("minContains", {"contains": STRING, "minContains": 2}, ["a"]),
    ("propertyNames", {"propertyNames": {"maxLength": 1}}, {"ab": 1}),
    ("if", {"if": {}, "then": {"not": {}}}, 1),
    ("dependencies", {"dependencies": {"a": ["b"]}}, {"a": 1}),
    ("dependentRequired", {"dependentRequired": {"a": ["b"]}}, {"a": 1}),
    ("dependentSchemas", {"dependentSchemas": {"a": {"required": ["b"]}}}, {"a": 1}),
    ("prefixItems", {"prefixItems": [STRING]}, [1]),
    ("unevaluatedProperties", {"unevaluatedProperties": False}, {"a": 1}),
    ("unevaluatedItems", {"unevaluatedItems": False}, [1]),
    ("contentEncoding", {"contentEncoding": "base64"}, "!!!"),
]


@pytest.mark.parametrize("draft", DRAFTS)
@pytest.mark.parametrize(("keyword", "schema", "refused"), PROBES)
def test_the_keywords_listed_are_those_that_the_validator_knows(
    keyword: str, schema: Any, refused: Any, draft: str
) -> None:
    is_asserted = not compile_schema(written_in(draft, schema)).is_valid(refused)
    assert is_asserted == (keyword in dialects.KEYWORDS[draft])


@pytest.mark.parametrize(
    ("reference", "code"),
    [
        ("https://example.org/other", "remote_ref"),
        ("file:///etc/hostname", "remote_ref"),
        ("other.json", "remote_ref"),
        ("#/nowhere", "unresolved_ref"),
        ("#nowhere", "unresolved_ref"),
    ],
)
def test_a_reference_out_of_the_document_is_refused_with_its_place(
    reference: str, code: str
) -> None:
    with pytest.raises(InvalidError) as refused:
        ask({}, {"properties": {"a": {"$ref": reference}}}, Policy.STRICT, Mode.BACKWARD)
    fault = refused.value.errors[0]
    assert (fault.pointer, fault.code) == ("/candidate/properties/a/$ref", code)
