"""Content models under the three policies: the whole grid of adding, removing, requiring."""

from typing import Any

import pytest

from catalog.compatibility.engine import compare
from catalog.compatibility.types import Direction, Mode, Policy
from tests.catalog.compatibility.asking import (
    LENIENT,
    READER_WRITER,
    STRICT,
    ask,
    backward,
)

STRING, INTEGER = {"type": "string"}, {"type": "integer"}
DEFAULTED = INTEGER | {"default": 1}
MODELS: dict[str, dict[str, Any]] = {
    "open": {},
    "said open": {"additionalProperties": True},
    "closed": {"additionalProperties": False},
    "of integers": {"additionalProperties": INTEGER},
    "of texts": {"additionalProperties": STRING},
    "integers by pattern": {"patternProperties": {"^b": INTEGER}, "additionalProperties": False},
    "texts by pattern": {"patternProperties": {"^b": STRING}, "additionalProperties": False},
    "open beside a pattern": {"patternProperties": {"^x": STRING}},
}


def thing(model: str, added: Any = None, *, required: bool = False) -> dict[str, Any]:
    properties = {"a": STRING} | ({} if added is None else {"b": added})
    return {
        "type": "object",
        "properties": properties,
        **({"required": ["b"]} if required else {}),
        **MODELS[model],
    }


# What may be added: model -> (strict, lenient, reader_writer) for an optional property.
ADDED = {
    "open": (False, True, True),
    "said open": (False, True, True),
    "closed": (True, True, True),
    "of integers": (True, True, True),
    "of texts": (False, False, False),
    "integers by pattern": (True, True, True),
    "texts by pattern": (False, False, False),
    "open beside a pattern": (False, True, True),
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("policy", "at"), [(STRICT, 0), (LENIENT, 1), (READER_WRITER, 2)])
def test_a_property_may_be_added_as_the_content_model_says(
    model: str, policy: Policy, at: int
) -> None:
    optional = ADDED[model][at]
    assert backward(thing(model), thing(model, INTEGER), policy) is optional
    assert not backward(thing(model), thing(model, INTEGER, required=True), policy)
    assert backward(thing(model), thing(model, DEFAULTED, required=True), policy) is optional


@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize("model", MODELS)
def test_a_property_that_may_be_anything_may_be_added_to_an_open_model(
    model: str, policy: Policy
) -> None:
    anything: Any
    for anything in ({}, True):
        assert backward(thing(model), thing(model, anything), policy)
        assert not backward(thing(model), thing(model, anything, required=True), policy)


REMOVED = {
    "open": (True, True, True),
    "said open": (True, True, True),
    "closed": (False, True, True),
    "of integers": (True, True, True),
    "of texts": (False, False, False),
    "integers by pattern": (True, True, True),
    "texts by pattern": (True, True, True),  # an integer that is a text was never there
    "open beside a pattern": (True, True, True),
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("policy", "at"), [(STRICT, 0), (LENIENT, 1), (READER_WRITER, 2)])
def test_a_property_may_be_removed_as_the_content_model_says(
    model: str, policy: Policy, at: int
) -> None:
    assert backward(thing(model, INTEGER), thing(model), policy) is REMOVED[model][at]
    assert (
        backward(thing(model, INTEGER, required=True), thing(model), policy) is REMOVED[model][at]
    )
    assert backward(thing(model, False), thing(model), policy)


@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize("model", MODELS)
def test_requiring_what_was_optional_needs_a_default(model: str, policy: Policy) -> None:
    for schema, ok in ((INTEGER, False), (DEFAULTED, True)):
        optional, required = thing(model, schema), thing(model, schema, required=True)
        assert backward(optional, required, policy) is ok
        assert backward(required, optional, policy)


@pytest.mark.parametrize(
    ("old", "new", "strict", "lenient", "reader_writer"),
    [
        ("open", "closed", False, True, True),
        ("closed", "open", True, True, True),
        ("of texts", "closed", False, True, True),
        ("closed", "of texts", True, True, True),
        ("open", "of texts", False, False, True),
        ("of texts", "open", True, True, True),
        ("of texts", "of integers", False, False, False),
    ],
)
def test_content_models_change_as_the_policy_says(
    old: str, new: str, strict: bool, lenient: bool, reader_writer: bool
) -> None:
    wanted = {STRICT: strict, LENIENT: lenient, READER_WRITER: reader_writer}
    found = {policy: backward(thing(old), thing(new), policy) for policy in Policy}
    assert found == wanted


def test_the_writer_form_of_allof_is_closed_over_all_its_members() -> None:
    member = {"properties": {"a": STRING}}
    old = {"type": "object", "allOf": [member, {"properties": {"b": INTEGER}}]}
    new: dict[str, Any] = {
        "type": "object",
        "allOf": [member, {"properties": {"b": STRING, "c": STRING}}],
    }
    verdict = ask(old, new, READER_WRITER, Mode.BACKWARD)
    breaking = [d for d in verdict.differences if Direction.BACKWARD in d.breaks]
    assert [(d.path, d.change) for d in breaking] == [("b", "type_changed")]
    assert isinstance(breaking[0].example["b"], int)
    new["allOf"][1] = {"properties": {"b": INTEGER, "c": STRING}}
    assert ask(old, new, READER_WRITER).compatible


def test_alternatives_closed_by_their_author_may_grow_under_reader_and_writer() -> None:
    def of(*extra: str) -> dict[str, Any]:
        return {
            "oneOf": [
                {
                    "type": "object",
                    "properties": {"kind": {"const": kind}} | dict.fromkeys(extra, STRING),
                    "required": ["kind"],
                    "additionalProperties": False,
                }
                for kind in ("paid", "sent")
            ]
        }

    assert ask(of(), of("note"), READER_WRITER).compatible
    assert ask(of(), of(), READER_WRITER).compatible
    assert not ask(of(), of("note"), STRICT).compatible


@pytest.mark.parametrize("policy", Policy)
def test_every_schema_is_compatible_with_itself(policy: Policy) -> None:
    node = {"properties": {"v": INTEGER, "next": {"$ref": "#/$defs/node"}}, "required": ["v"]}
    for schema in (
        {"$defs": {"node": node}, "$ref": "#/$defs/node"},
        {
            "type": "object",
            "oneOf": [{"properties": {k: STRING}, "required": [k]} for k in ("x", "y")],
            "unevaluatedProperties": False,
        },
        {"not": {"properties": {"a": {"additionalProperties": False}}}},
        {"if": {"required": ["a"]}, "then": {"required": ["b"]}, "else": {"maxProperties": 3}},
        {
            "allOf": [
                {"anyOf": [{"required": [f"a{n}"]}, {"required": [f"b{n}"]}]} for n in range(9)
            ]
        },
    ):
        assert ask(schema, schema, policy).compatible


def test_modes_choose_directions_and_versions() -> None:
    removed = {"type": "object", "properties": {}}
    first = {"type": "object", "properties": {"a": STRING}}
    again = {"type": "object", "properties": {"a": INTEGER}}

    def asked(mode: Mode) -> bool:
        return compare(again, [first, removed], mode=mode, policy=READER_WRITER).compatible

    assert {mode: asked(mode) for mode in Mode} == {
        Mode.NONE: True,
        Mode.BACKWARD: True,
        Mode.FORWARD: True,
        Mode.FULL: True,
        Mode.BACKWARD_TRANSITIVE: False,
        Mode.FORWARD_TRANSITIVE: False,
        Mode.FULL_TRANSITIVE: False,
    }
