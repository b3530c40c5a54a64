"""Examples made of contracts are accepted by those contracts, whatever they ask for."""

import json
from typing import Any

import pytest

from catalog.examples import example_of
from portal.demo.fields import document
from portal.demo.shop import STREAMS
from portal.kernel.json_schema import compile_schema
from tests.support.factories import ORDER_SCHEMA
from tests.support.live import ROOT

CORPUS = ROOT.parent / "shared" / "data" / "wikimedia" / "streams.jsonl"


@pytest.mark.parametrize(
    "field",
    [
        {"type": "string", "format": "date-time"},
        {"type": "string", "format": "duration"},
        {"type": "string", "minLength": 30, "maxLength": 31},
        {"type": "string", "pattern": "^[A-Z]{3}$"},
        {"type": "string", "pattern": "^#[0-9a-f]{6}$"},
        {"type": "integer", "minimum": 17, "multipleOf": 5},
        {"type": "integer", "exclusiveMaximum": -3},
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        {"type": "array", "items": {"type": "integer"}, "minItems": 3},
        {"type": "array", "prefixItems": [{"type": "string"}, {"const": 3}], "items": False},
        {"type": ["null", "boolean"]},
        {"type": "null"},
        {"const": {"a": [1]}},
        {"enum": ["x", None]},
        {"oneOf": [{"type": "string"}, {"type": "object", "required": ["a"]}]},
        {"allOf": [{"$ref": "#/$defs/part"}, {"required": ["size"]}]},
        {"not": {"type": "object"}},
        True,
    ],
)
def test_an_example_is_made_for_every_kind_of_field(field: Any) -> None:
    contract = {
        "type": "object",
        "properties": {"value": field},
        "required": ["value"],
        "$defs": {
            "part": {
                "type": "object",
                "properties": {"size": {"type": "integer"}, "part": {"$ref": "#/$defs/part"}},
            }
        },
    }
    example = example_of(contract)
    assert compile_schema(contract).is_valid(example)
    assert "value" in example


def test_the_examples_that_a_contract_gives_are_taken() -> None:
    given = {"properties": {"sku": {"type": "string", "examples": ["lamp-1"]}}}
    assert example_of(given) == {"sku": "lamp-1"}
    whole = {**given, "examples": [{"sku": 3}, {"sku": "desk-2"}]}
    assert example_of(whole) == {"sku": "lamp-1"} or example_of(whole) == {"sku": "desk-2"}
    assert example_of({**given, "examples": [{"sku": "desk-2"}]}) == {"sku": "desk-2"}


def test_an_example_that_breaks_its_own_contract_is_not_shown() -> None:
    assert example_of({"type": "object", "properties": {"a": {"type": "integer", "examples": ["x"]}},
                       "required": ["a"]}) is None  # fmt: skip
    assert example_of({"type": "object", "properties": {"a": {"type": "integer", "examples": ["x"]}},
                       }) == {}  # fmt: skip
    assert example_of({"allOf": [{"type": "string"}, {"type": "integer"}]}) is None


def test_a_contract_that_holds_itself_ends() -> None:
    endless = {"properties": {"self": {"$ref": "#"}, "name": {"type": "string"}}, "type": "object"}
    assert example_of(endless) == {"name": "text"}
    forced = {"$defs": {"a": {"required": ["a"], "properties": {"a": {"$ref": "#/$defs/a"}}}},
              "$ref": "#/$defs/a"}  # fmt: skip
    assert example_of(forced) is None or compile_schema(forced).is_valid(example_of(forced))


def test_the_streams_of_the_demo_have_examples() -> None:
    assert example_of(ORDER_SCHEMA) is not None
    documents = [
        document(stream.fields, number, stream.description)
        for stream in STREAMS
        for number in range(1, stream.versions + 1)
    ]
    assert len(documents) > 30
    assert [made for made in documents if example_of(made) is None] == []


def test_nearly_all_real_contracts_have_an_example_without_their_own() -> None:
    if not CORPUS.exists():
        pytest.skip(f"DID NOT RUN: the corpus is not at {CORPUS}")
    found = [
        {word: part for word, part in version["schema"].items() if word != "examples"}
        for line in CORPUS.read_text().splitlines()
        for version in json.loads(line)["versions"]
    ]
    assert sum(example_of(schema) is not None for schema in found) >= len(found) * 0.98
