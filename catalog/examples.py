"""An event that a contract takes: for the snippet that sends the first one.

Given examples come first, then what the schema allows: its enum, its format, its lower bound.
Optional fields without an example are left out, personal values are never taken from anybody.
"""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

_DEEPEST: Final = 12
_PERSONAL: Final = ("personal", "sensitive")
_FORMATS: Final = {
    "email": "somebody@mail.example",
    "uuid": "8f14e45f-ceea-4672-a1b0-3c1d2e4f5a6b",
    "uri": "https://shop.example/",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "hostname": "shop.example",
    "date": "2026-01-31",
    "time": "12:00:00Z",
}


def example_of(document: Mapping[str, Any], now: datetime) -> Any:
    """A value under a schema; close to valid where only a program could know better (patterns)."""
    return _value(document, document, now, 0)


def _value(schema: Any, root: Mapping[str, Any], now: datetime, depth: int) -> Any:
    found = _resolved(schema, root)
    is_personal = found.get("x-classification") in _PERSONAL
    if "const" in found:
        return found["const"]
    for word in ("enum", "examples"):
        values = found.get(word)
        if isinstance(values, list) and values and not (word == "examples" and is_personal):
            return values[0]
    if "default" in found and not is_personal:
        return found["default"]
    kind = _kind(found)
    if kind == "object":
        return _object(found, root, now, depth)
    if kind == "array":
        least = int(found.get("minItems", 0))
        if depth >= _DEEPEST or not (least or "items" in found):
            return []
        return [_value(found.get("items", {}), root, now, depth + 1)] * max(least, 1)
    return _plain(kind, found, now)


def _object(
    schema: Mapping[str, Any], root: Mapping[str, Any], now: datetime, depth: int
) -> dict[str, Any]:
    properties = schema.get("properties", {})
    required = schema.get("required", [])
    if not isinstance(properties, Mapping) or depth >= _DEEPEST:
        return {}
    return {
        name: _value(part, root, now, depth + 1)
        for name, part in properties.items()
        if name in required or _has_example(part)
    }


def _has_example(part: Any) -> bool:
    return (
        isinstance(part, Mapping)
        and bool(part.get("examples"))
        and part.get("x-classification") not in _PERSONAL
    )


def _resolved(schema: Any, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """A schema with a local reference followed and its first alternative taken."""
    for _ in range(_DEEPEST):
        if not isinstance(schema, Mapping):
            return {}
        reference = schema.get("$ref")
        if isinstance(reference, str) and reference.startswith("#/"):
            schema = _at(root, reference)
            continue
        choices = next((schema[w] for w in ("oneOf", "anyOf", "allOf") if schema.get(w)), None)
        if isinstance(choices, list) and "type" not in schema:
            schema = choices[0]
            continue
        return schema
    return {}


def _at(root: Mapping[str, Any], pointer: str) -> Any:
    found: Any = root
    for step in pointer.removeprefix("#/").split("/"):
        found = (
            found.get(step.replace("~1", "/").replace("~0", "~"))
            if isinstance(found, Mapping)
            else None
        )
    return found


def _kind(schema: Mapping[str, Any]) -> str:
    kinds = schema.get("type")
    if isinstance(kinds, list):
        kinds = next((kind for kind in kinds if kind != "null"), "null")
    if isinstance(kinds, str):
        return kinds
    return "object" if "properties" in schema else "array" if "items" in schema else "string"


def _plain(kind: str, schema: Mapping[str, Any], now: datetime) -> Any:
    if kind in ("integer", "number"):
        return _number(schema)
    if kind == "boolean":
        return True
    if kind == "null":
        return None
    form = schema.get("format")
    if form == "date-time":
        return f"{now:%Y-%m-%dT%H:%M:%SZ}"
    text = _FORMATS.get(str(form), "text")
    least, most = int(schema.get("minLength", 0)), int(schema.get("maxLength", len(text)))
    return text.ljust(least, "x")[: max(most, least)] if form is None else text


def _number(schema: Mapping[str, Any]) -> Any:
    low, most = schema.get("minimum"), schema.get("maximum")
    above = schema.get("exclusiveMinimum")
    if above is True:  # draft 4: the minimum itself is excluded
        above = low
    if isinstance(above, int | float) and above is not False:
        return int(above) + 1
    if isinstance(low, int | float) and low > 1:
        return math.ceil(low)
    return 1 if not isinstance(most, int | float) or most >= 1 else math.floor(most)
