"""The pure parts of contracts: field index, safety, inference, house rules."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.field_index import fields_of
from catalog.inference import apply_suggestions, infer
from catalog.schema_safety import check_schema, fingerprint
from catalog.style_lint import lint
from portal.kernel.errors import InvalidError
from portal.kernel.json_schema import compile_schema


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


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False, width=32)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.dictionaries(st.text(min_size=1, max_size=8), json_values, max_size=4),
        min_size=1,
        max_size=5,
    )
)
def test_every_sample_is_valid_under_the_schema_inferred_from_it(samples: list[Any]) -> None:
    plain = [s for s in samples if not {"specversion", "properties", "traits"} & set(s)]
    if plain:
        validator = compile_schema(infer(plain).document)
        assert all(validator.is_valid(sample) for sample in plain)


def test_inference_finds_formats_requiredness_and_what_looks_personal() -> None:
    found = infer(
        [
            {"id": "1", "at": "2026-01-01T00:00:00Z", "email": "a@b.example", "total_minor": 5},
            {"id": "2", "at": "2026-01-02T00:00:00Z", "email": "c@d.example"},
        ]
    )
    document = found.document
    assert document["required"] == ["at", "email", "id"]
    assert document["properties"]["at"]["format"] == "date-time"
    assert {(s.rule, s.path) for s in found.suggestions} == {
        ("personal", "email"),
        ("money", "total_minor"),
    }
    assert "examples" not in document["properties"]["email"]
    applied = apply_suggestions(document, found.suggestions)
    assert applied["properties"]["email"]["x-privacy"] == "tokenize"
    assert "x-privacy" not in document["properties"]["email"]


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


def test_samples_that_are_not_objects_are_refused_with_their_place() -> None:
    with pytest.raises(InvalidError) as caught:
        infer([{"a": 1}, 3])
    assert caught.value.errors[0].pointer == "/events/1"
    with pytest.raises(InvalidError):
        infer([])


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
