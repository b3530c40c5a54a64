"""What a change does to the readers of a field."""

from typing import Any

import pytest

from catalog.field_index import fields_of
from catalog.touched import effect_on, is_about, touched_fields

BEFORE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "order_id": {"type": "string"},
        "total": {"type": "integer", "x-unit": "cent"},
        "state": {"enum": ["paid", "sent"]},
        "items": {
            "type": "array",
            "items": {"type": "object", "properties": {"sku": {"type": "string"}}},
        },
    },
    "required": ["order_id"],
}


def after(**properties: Any) -> dict[str, Any]:
    """The contract with some properties changed; None removes one."""
    merged = {**BEFORE["properties"], **properties}
    kept = {name: schema for name, schema in merged.items() if schema is not None}
    return {**BEFORE, "properties": kept, "required": ["order_id"] if "order_id" in kept else []}


def touched(document: dict[str, Any]) -> dict[tuple[str, str], str]:
    found = touched_fields(fields_of(BEFORE), fields_of(document))
    return {(item.path, item.change): item.effect for item in found}


@pytest.mark.parametrize(
    ("document", "path", "change", "effect"),
    [
        (after(total=None), "total", "removed", "breaks"),
        (after(total={"type": ["integer", "string"], "x-unit": "cent"}), "total", "type_widened",
         "breaks"),
        (after(total={"type": "number", "x-unit": "cent"}), "total", "type_widened", "breaks"),
        (after(total={"type": "integer", "x-unit": "euro"}), "total", "unit_changed", "breaks"),
        (after(state={"enum": ["paid", "sent", "lost"]}), "state", "values_added", "care"),
        (after(state={"enum": ["paid"]}), "state", "values_removed", "safe"),
        (after(note={"type": "string"}), "note", "added", "safe"),
        (after(order_id={"type": "string", "deprecated": True}), "order_id", "deprecated", "care"),
        ({**BEFORE, "required": []}, "order_id", "now_optional", "care"),
        ({**BEFORE, "required": ["order_id", "total"]}, "total", "now_required", "safe"),
    ],
)  # fmt: skip
def test_each_change_of_a_field_has_its_effect(
    document: dict[str, Any], path: str, change: str, effect: str
) -> None:
    assert touched(document) == {(path, change): effect}


def test_a_whole_number_is_a_number_so_readers_of_numbers_are_safe() -> None:
    old = {"properties": {"n": {"type": "number"}}}
    new = {"properties": {"n": {"type": "integer"}}}
    found = touched_fields(fields_of(old), fields_of(new))
    assert [item.effect for item in found] == ["safe"]


def test_the_same_contract_touches_nothing() -> None:
    assert touched(BEFORE) == {}


@pytest.mark.parametrize(
    ("path", "declared", "concerns"),
    [
        ("items[].sku", "items", True),
        ("items", "items[].sku", True),
        ("total", "total", True),
        ("total_tax", "total", False),
        ("a.b", "a.c", False),
    ],
)
def test_a_reader_of_a_whole_reads_its_parts(path: str, declared: str, concerns: bool) -> None:
    assert is_about(path, declared) is concerns


def test_the_worst_effect_on_a_reader_counts_and_names_its_causes() -> None:
    items = {"type": "array", "items": {"type": "object", "properties": {}}}
    changed = touched_fields(
        fields_of(BEFORE),
        fields_of(after(items=items, state={"enum": ["paid", "sent", "lost"]})),
    )
    effect, causes = effect_on(changed, ["items", "state"])
    assert effect == "breaks"
    assert [(cause.path, cause.change) for cause in causes] == [
        ("state", "values_added"),
        ("items[].sku", "removed"),
    ]
    assert effect_on(changed, ["order_id"]) == ("safe", [])
