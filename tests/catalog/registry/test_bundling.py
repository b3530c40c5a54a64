"""Schemas that refer to other subjects, made self-contained."""

from typing import Any

import pytest

from catalog.registry.bundling import bundle
from portal.kernel.json_schema import compile_schema

ITEM: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "$id": "http://shop.example/item.json",
    "type": "object",
    "properties": {"sku": {"$ref": "#/definitions/sku"}, "parent": {"$ref": "#"}},
    "required": ["sku"],
    "definitions": {"sku": {"type": "string", "minLength": 3}},
}


@pytest.mark.parametrize(
    "reference",
    ["item.json", "http://shop.example/item.json", "http://shop.example/item.json#"],
)
def test_a_reference_by_name_or_id_is_resolved_with_its_own_pointers(reference: str) -> None:
    document = {
        "$id": "http://shop.example/order.json",
        "type": "object",
        "properties": {"item": {"$ref": reference}},
    }
    bundled = bundle(document, {"item.json": ITEM})
    assert bundled["properties"]["item"]["$ref"] == "#/$defs/item.json"
    check = compile_schema(bundled)
    assert check.is_valid({"item": {"sku": "abc", "parent": {"sku": "abcd"}}})
    assert not check.is_valid({"item": {"sku": "ab"}})
    assert not check.is_valid({"item": {"sku": "abc", "parent": {}}})


def test_a_part_of_another_schema_is_pointed_to() -> None:
    document = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "properties": {"a": {"$ref": "item.json#/definitions/sku"}},
    }
    bundled = bundle(document, {"item.json": ITEM})
    assert bundled["properties"]["a"]["$ref"] == "#/definitions/item.json/definitions/sku"
    assert not compile_schema(bundled).is_valid({"a": "x"})


def test_names_values_and_what_is_taken_already_stay_as_they_are() -> None:
    document = {
        "properties": {"default": {"$ref": "i/1"}, "$ref": {"type": "string"}},
        "default": {"$ref": "i/1"},
        "enum": [{"$ref": "i/1"}],
        "$defs": {"i/1": {"type": "null"}},
    }
    bundled = bundle(document, {"i/1": ITEM, "unused": ITEM})
    assert bundled["properties"]["default"]["$ref"] == "#/$defs/i~11_2"
    assert bundled["properties"]["$ref"] == {"type": "string"}
    assert (bundled["default"], bundled["enum"]) == ({"$ref": "i/1"}, [{"$ref": "i/1"}])
    assert set(bundled["$defs"]) == {"i/1", "i/1_2"}


def test_a_schema_that_refers_to_nothing_is_unchanged() -> None:
    assert bundle(ITEM, {"other": {}}) == ITEM
