"""The event in the snippet must be one that its contract takes."""

from datetime import UTC, datetime
from typing import Any

import pytest

from catalog.examples import example_of
from portal.demo.fields import document
from portal.demo.shop import STREAMS, ShopStream
from portal.kernel.json_schema import compile_schema

NOW = datetime(2026, 11, 17, 14, 32, tzinfo=UTC)


def faults(schema: Any) -> list[Any]:
    return list(compile_schema(schema).iter_errors(example_of(schema, NOW)))


@pytest.mark.parametrize("shop", STREAMS, ids=lambda shop: shop.name)
def test_every_stream_of_the_shop_takes_its_example(shop: ShopStream) -> None:
    assert faults(document(shop.fields, shop.versions, shop.description)) == []


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"const": 7}, "b": {}}, "required": ["a", "b"]},
        {"type": "object", "properties": {"a": {"type": ["null", "integer"], "minimum": 5}},
         "required": ["a"]},
        {"type": "object", "properties": {"a": {"exclusiveMinimum": 9, "type": "number"}},
         "required": ["a"]},
        {"$schema": "http://json-schema.org/draft-04/schema#", "type": "object", "required": ["a"],
         "properties": {"a": {"type": "integer", "minimum": 4, "exclusiveMinimum": True}}},
        {"type": "object", "properties": {"a": {"type": "integer", "maximum": -3}},
         "required": ["a"]},
        {"type": "object", "properties": {"a": {"type": "string", "minLength": 9, "maxLength": 9}},
         "required": ["a"]},
        {"type": "object", "properties": {"a": {"type": "string", "maxLength": 2}},
         "required": ["a"]},
        {"type": "object", "properties": {"a": {"type": "string", "format": "date-time"},
                                          "b": {"type": "string", "format": "email"}},
         "required": ["a", "b"]},
        {"type": "array", "minItems": 2, "items": {"enum": ["x"]}},
        {"$ref": "#/$defs/it", "$defs": {"it": {"type": "object", "required": ["n"],
                                                "properties": {"n": {"type": "boolean"}}}}},
        {"type": "object", "properties": {"a": {"oneOf": [{"type": "integer"}, {"type": "null"}]}},
         "required": ["a"]},
        True,
    ],
)  # fmt: skip
def test_what_a_schema_allows_is_kept_to(schema: Any) -> None:
    assert faults(schema) == []


def test_a_real_persons_value_is_never_the_example() -> None:
    field = {"type": "string", "x-classification": "personal", "examples": ["jo@mail.example"]}
    schema = {"type": "object", "properties": {"a": field, "b": field}, "required": ["a"]}
    assert example_of(schema, NOW) == {"a": "text"}


def test_a_schema_that_refers_to_itself_ends() -> None:
    schema = {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]}
    assert isinstance(example_of(schema, NOW), dict)
