"""The fields of a schema document as flat rows, so that a field is found over all streams.

Paths are dotted, `[]` marks items of an array: `items[].sku`. Local references are followed (a
recursive one stops where it meets itself), `allOf` is merged, the branches of `anyOf` and `oneOf`
are taken together with their fields optional. Bounded: MAX_FIELDS rows, MAX_DEPTH levels,
MAX_STEPS schemas looked at.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from catalog.types import Classification

MAX_FIELDS: Final = 2_000
MAX_DEPTH: Final = 20
MAX_PATH: Final = 500
MAX_STEPS: Final = 20_000  # alternatives of alternatives multiply; beyond this they stay unmerged
_TYPES: Final = frozenset({"string", "number", "integer", "boolean", "object", "array", "null"})
_PRIVACY: Final = frozenset({"drop", "tokenize", "encrypt", "truncate", "bucket"})


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One field as it is indexed. `types` are JSON types, sorted; `enum` and `example` are JSON."""

    path: str
    name: str
    depth: int
    position: int
    types: tuple[str, ...]
    format: str = ""
    required: bool = False
    title: str = ""
    description: str = ""
    classification: str = ""
    privacy: str = ""
    unit: str = ""
    enum: list[Any] | None = None
    example: Any = None
    deprecated: bool = False
    sunset_on: date | None = None


@dataclass(slots=True)
class _Index:
    document: Mapping[str, Any]
    rows: list[FieldRow] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    steps: int = 0


def fields_of(document: object) -> list[FieldRow]:
    """The rows of a document, in its order, parents before children."""
    if not isinstance(document, Mapping):
        return []
    index = _Index(document)
    _children(index, _resolve(index, document, ()), "", 0, ())
    return index.rows


def _children(
    index: _Index, schema: Mapping[str, Any], path: str, depth: int, refs: tuple[str, ...]
) -> None:
    properties = schema.get("properties")
    if not isinstance(properties, Mapping) or depth >= MAX_DEPTH or index.steps > MAX_STEPS:
        return
    required = schema.get("required")
    needed = set(required) if isinstance(required, list) and _hashable(required) else set()
    for name, given in properties.items():
        raw = given if isinstance(given, Mapping) else {}
        where = f"{path}.{name}" if path else str(name)
        if len(where) > MAX_PATH or len(str(name)) > 256 or "\0" in where:
            continue
        trail = (*refs, raw["$ref"]) if isinstance(raw.get("$ref"), str) else refs
        resolved = _resolve(index, raw, refs)
        _add(index, where, str(name), depth, resolved, required=name in needed)
        _descend(index, resolved, where, depth, trail)


def _descend(
    index: _Index, schema: Mapping[str, Any], path: str, depth: int, refs: tuple[str, ...]
) -> None:
    _children(index, schema, path, depth + 1, refs)
    items = schema.get("items")
    if isinstance(items, Mapping):
        trail = (*refs, items["$ref"]) if isinstance(items.get("$ref"), str) else refs
        inner = _resolve(index, items, refs)
        if isinstance(inner.get("properties"), Mapping):
            _children(index, inner, f"{path}[]", depth + 1, trail)


def _add(
    index: _Index,
    path: str,
    name: str,
    depth: int,
    schema: Mapping[str, Any],
    *,
    required: bool,
) -> None:
    if path in index.seen or len(index.rows) >= MAX_FIELDS:
        return
    index.seen.add(path)
    enum = schema.get("enum")
    examples = schema.get("examples")
    index.rows.append(
        FieldRow(
            path=path,
            name=name,
            depth=depth,
            position=len(index.rows),
            types=_types(schema),
            format=_text(schema, "format", 60),
            required=required,
            title=_text(schema, "title"),
            description=_text(schema, "description"),
            classification=_member(schema, "x-classification", frozenset(Classification.values)),
            privacy=_member(schema, "x-privacy", _PRIVACY),
            unit=_text(schema, "x-unit", 60),
            enum=enum[:100] if isinstance(enum, list) else None,
            example=examples[0] if isinstance(examples, list) and examples else None,
            deprecated=schema.get("deprecated") is True,
            sunset_on=_date(schema.get("x-sunset")),
        )
    )


def _resolve(index: _Index, schema: Mapping[str, Any], refs: tuple[str, ...]) -> Mapping[str, Any]:
    """The schema with local references followed and its combinations merged."""
    index.steps += 1
    if index.steps > MAX_STEPS:
        return schema
    merged: dict[str, Any] = {}
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference not in refs and len(refs) < MAX_DEPTH:
        target = _target(index.document, reference)
        if isinstance(target, Mapping):
            merged = dict(_resolve(index, target, (*refs, reference)))
    merged.update({key: value for key, value in schema.items() if key not in _COMBINING})
    for word in _COMBINING:
        branches = schema.get(word)
        if isinstance(branches, list) and len(refs) < MAX_DEPTH:
            for branch in branches[:50]:
                if isinstance(branch, Mapping):
                    resolved = _resolve(index, branch, (*refs, f"<{word}>"))
                    _merge(merged, resolved, optional=word != "allOf")
    return merged


_COMBINING: Final = ("allOf", "anyOf", "oneOf")
# A deprecated alternative does not make the field deprecated: its other forms stay.
_OF_ITS_BRANCH: Final = frozenset({"deprecated", "x-sunset"})


def _merge(into: dict[str, Any], other: Mapping[str, Any], *, optional: bool) -> None:
    properties = other.get("properties")
    if isinstance(properties, Mapping):
        into["properties"] = {**properties, **(into.get("properties") or {})}
    required = other.get("required")
    if isinstance(required, list) and not optional:
        into["required"] = [*(into.get("required") or []), *required]
    types = set(_types(into)) | set(_types(other)) if optional else set()
    for key, value in other.items():
        if optional and key in _OF_ITS_BRANCH:
            continue
        if key not in ("properties", "required"):
            into.setdefault(key, value)
    if types:
        into["type"] = sorted(types)


def _target(document: Mapping[str, Any], reference: str) -> Any:
    if not reference.startswith("#"):
        return None
    found: Any = document
    for step in reference[1:].split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, Mapping) and key in found:
            found = found[key]
        else:
            return None
    return found


def _types(schema: Mapping[str, Any]) -> tuple[str, ...]:
    named = schema.get("type")
    if isinstance(named, str):
        named = [named]
    if isinstance(named, list):
        return tuple(sorted({item for item in named if isinstance(item, str)} & _TYPES))
    if isinstance(schema.get("properties"), Mapping):
        return ("object",)
    if "items" in schema:
        return ("array",)
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return tuple(sorted({_json_type(item) for item in schema["enum"]}))
    return (_json_type(schema["const"]),) if "const" in schema else ()


def _json_type(value: object) -> str:
    for kinds, name in (
        (bool, "boolean"),
        (int, "integer"),
        (float, "number"),
        (str, "string"),
        (list, "array"),
        (dict, "object"),
    ):
        if isinstance(value, kinds):
            return name
    return "null"


def _text(schema: Mapping[str, Any], key: str, longest: int = 2_000) -> str:
    value = schema.get(key)
    return value.replace("\0", "")[:longest] if isinstance(value, str) else ""


def _member(schema: Mapping[str, Any], key: str, allowed: frozenset[str]) -> str:
    value = schema.get(key)
    return value if isinstance(value, str) and value in allowed else ""


def _date(value: object) -> date | None:
    try:
        return date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _hashable(values: list[Any]) -> bool:
    return all(isinstance(value, str) for value in values)
