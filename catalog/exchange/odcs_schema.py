"""JSON Schema as objects and properties of ODCS, and back.

ODCS says less than JSON Schema. `object_of` says what it can; the schema itself goes beside it
whole (`catalog.exchange.odcs`). `schema_of` makes a schema of what a contract of another tool says.
"""

from collections.abc import Mapping
from typing import Any, Final

from catalog.exchange.schema_references import FaultError, Tokens
from catalog.references import target_of
from catalog.types import Classification

MAX_DEPTH: Final = 20
MAX_PROPERTIES: Final = 10_000

_TEXT_TYPES: Final = {"date": "date", "timestamp": "date-time", "time": "time"}
_LOGICAL: Final = {format_: logical for logical, format_ in _TEXT_TYPES.items()}
_NEW_TYPES: Final = {"map": "object", "vector": "array"}  # of ODCS 3.2
_BOUNDS: Final = ("multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum")
_OPTIONS: Final[dict[str, tuple[str, ...]]] = {
    "string": ("minLength", "maxLength", "pattern", "format"),
    "integer": _BOUNDS,
    "number": _BOUNDS,
    "array": ("minItems", "maxItems", "uniqueItems"),
    "object": ("minProperties", "maxProperties"),
}
_COUNTS: Final = frozenset(
    {"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"}
)
_TEXTS: Final = frozenset({"pattern", "format"})
# What of an object or property comes from the schema; everything else is the contract's own.
_FROM_SCHEMA: Final = frozenset(
    {
        "logicalType", "logicalTypeOptions", "required", "description", "businessName", "examples",
        "classification", "properties", "items",
    }
)  # fmt: skip


class _Count:
    """How many properties were made: schemas that refer to themselves stay bounded."""

    def __init__(self) -> None:
        self.left = MAX_PROPERTIES

    def spend(self) -> bool:
        self.left -= 1
        return self.left >= 0


# From JSON Schema


def object_of(document: Any, name: str) -> dict[str, Any]:
    """The object of a contract that a schema describes, its properties in the schema's order."""
    made: dict[str, Any] = {"name": name, "physicalType": "event", "logicalType": "object"}
    if isinstance(document, Mapping):
        words = _words(document)
        words.pop("classification", None)  # only a property has one in ODCS; `jsonSchema` keeps it
        made |= words
        if properties := _properties(document, document, 1, (document,), _Count()):
            made["properties"] = properties
    return made


def _properties(
    root: Mapping[str, Any],
    schema: Mapping[str, Any],
    depth: int,
    above: tuple[Any, ...],
    count: _Count,
) -> list[dict[str, Any]]:
    properties = schema.get("properties")
    required = schema.get("required")
    names = required if isinstance(required, list) else []
    if not isinstance(properties, Mapping) or depth > MAX_DEPTH:
        return []
    made = []
    for name, part in properties.items():
        if not count.spend():
            break
        one = {"name": name, **_property(root, part, depth, above, count)}
        if name in names:
            one["required"] = True
        made.append(one)
    return made


def _property(
    root: Mapping[str, Any], part: Any, depth: int, above: tuple[Any, ...], count: _Count
) -> dict[str, Any]:
    schema = _resolved(root, part)
    if not isinstance(schema, Mapping):
        return {}
    made = _words(schema) | (_words(part) if isinstance(part, Mapping) else {})
    logical = _logical_type(schema)
    is_circle = any(schema is one for one in above)
    if logical:
        made["logicalType"] = logical
        if options := _options(schema, logical):
            made["logicalTypeOptions"] = options
    if is_circle or depth >= MAX_DEPTH:
        return made
    inside = (*above, schema)
    if logical == "object" and (members := _properties(root, schema, depth + 1, inside, count)):
        made["properties"] = members
    items = schema.get("items")
    if logical == "array" and isinstance(items, Mapping) and count.spend():
        made["items"] = _property(root, items, depth + 1, inside, count)
    return made


def _resolved(root: Mapping[str, Any], part: Any) -> Any:
    seen = 0
    while isinstance(part, Mapping) and isinstance(part.get("$ref"), str) and seen < MAX_DEPTH:
        part, seen = target_of(root, part["$ref"]), seen + 1
    return part


def _words(schema: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for word, key in (("title", "businessName"), ("description", "description")):
        if isinstance(schema.get(word), str) and schema[word]:
            made[key] = schema[word]
    if isinstance(schema.get("x-classification"), str):
        made["classification"] = schema["x-classification"]
    return made


def _logical_type(schema: Mapping[str, Any]) -> str:
    stated = schema.get("type")
    types = [one for one in (stated if isinstance(stated, list) else [stated]) if one != "null"]
    if len(types) != 1 or not isinstance(types[0], str):
        return "object" if isinstance(schema.get("properties"), Mapping) else ""
    if types[0] == "string":
        return _LOGICAL.get(str(schema.get("format")), "string")
    return types[0] if types[0] in {*_OPTIONS, "boolean"} else ""


def _options(schema: Mapping[str, Any], logical: str) -> dict[str, Any]:
    return {
        word: schema[word]
        for word in _OPTIONS.get(logical, ())
        if word in schema and _is_option(word, schema[word])
    }


def _is_option(word: str, value: Any) -> bool:
    if word in _TEXTS:
        return isinstance(value, str)
    if word == "uniqueItems":
        return isinstance(value, bool)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if word in _COUNTS:
        return isinstance(value, int) and value >= 0
    return word != "multipleOf" or value > 0


# To JSON Schema


def schema_of(element: Mapping[str, Any], place: Tokens) -> dict[str, Any]:
    """The schema of a contract's object. Raises FaultError where it is not what ODCS says."""
    return _schema({"logicalType": "object", **element}, place, 1, _Count())


def _schema(element: Mapping[str, Any], place: Tokens, depth: int, count: _Count) -> dict[str, Any]:
    if depth > MAX_DEPTH or not count.spend():
        raise FaultError(
            place, f"is nested deeper than {MAX_DEPTH} levels or has too many properties"
        )
    schema: dict[str, Any] = {}
    if isinstance(element.get("businessName"), str):
        schema["title"] = element["businessName"]
    if isinstance(element.get("description"), str):
        schema["description"] = element["description"]
    logical, typed = _typed(element, place)
    schema |= typed
    schema |= _constraints(element, logical, place)
    if element.get("classification") in Classification.values:
        schema["x-classification"] = element["classification"]
    if isinstance(element.get("examples"), list):
        schema["examples"] = element["examples"]
    if "properties" in element:
        schema |= _members(element, place, depth, count)
    if "items" in element:
        items = element["items"]
        if not isinstance(items, Mapping):
            raise FaultError((*place, "items"), "must be an object")
        schema["items"] = _schema(items, (*place, "items"), depth + 1, count)
    return schema


def _typed(element: Mapping[str, Any], place: Tokens) -> tuple[str, dict[str, Any]]:
    """The logical type of an element, "" for none, and the words of JSON Schema for it."""
    logical = element.get("logicalType", "")
    if not isinstance(logical, str):
        raise FaultError((*place, "logicalType"), "must be text")
    if logical in _TEXT_TYPES:
        return logical, {"type": "string", "format": _TEXT_TYPES[logical]}
    if logical in _NEW_TYPES:
        return logical, {"type": _NEW_TYPES[logical]}
    if logical and logical not in {*_OPTIONS, "boolean"}:
        raise FaultError((*place, "logicalType"), f"is no type that ODCS knows: {logical[:60]}")
    return logical, {"type": logical} if logical else {}


def _members(
    element: Mapping[str, Any], place: Tokens, depth: int, count: _Count
) -> dict[str, Any]:
    properties = element["properties"]
    if not isinstance(properties, list):
        raise FaultError((*place, "properties"), "must be a list of properties")
    made: dict[str, Any] = {}
    required = []
    for number, one in enumerate(properties):
        there = (*place, "properties", str(number))
        if not isinstance(one, Mapping) or not isinstance(one.get("name"), str):
            raise FaultError(there, "must be a property with a name")
        if one["name"] in made:
            raise FaultError(there, f"has the name {one['name'][:80]} of a property before it")
        made[one["name"]] = _schema(one, there, depth + 1, count)
        if one.get("required") is True:
            required.append(one["name"])
    options = element.get("logicalTypeOptions")
    more = options.get("required") if isinstance(options, Mapping) else None
    if isinstance(more, list):
        required += [name for name in more if isinstance(name, str) and name not in required]
    return {"properties": made, **({"required": required} if required else {})}


def _constraints(element: Mapping[str, Any], logical: str, place: Tokens) -> dict[str, Any]:
    options = element.get("logicalTypeOptions")
    if options is not None and not isinstance(options, Mapping):
        raise FaultError((*place, "logicalTypeOptions"), "must be an object")
    options = options or {}
    made = {
        word: options[word]
        for word in _OPTIONS.get(logical, ())
        if word in options and _is_option(word, options[word]) and not _is_size(word, logical)
    }
    if logical in ("integer", "number"):
        made.pop("format", None)
        for word, bound in (("exclusiveMaximum", "maximum"), ("exclusiveMinimum", "minimum")):
            if options.get(word) is True and bound in made:  # as ODCS 3.0 spells it
                made[word] = made.pop(bound)
    if values := _allowed_values(element):
        made["enum"] = values
    return made


def _is_size(word: str, logical: str) -> bool:
    """Whether a format says how many bits hold a number, which JSON Schema does not."""
    return word == "format" and logical != "string"


def _allowed_values(element: Mapping[str, Any]) -> list[Any]:
    """What a list of values (ODCS 3.2) or a check for values outside of one allows."""
    stated = element.get("enum")
    if isinstance(stated, list):
        return [one["value"] for one in stated if isinstance(one, Mapping) and "value" in one]
    checks = element.get("quality")
    for check in checks if isinstance(checks, list) else ():
        if not isinstance(check, Mapping) or check.get("mustBe") != 0:
            continue
        arguments = check.get("arguments")
        if "invalidValues" in (check.get("metric"), check.get("rule")) and isinstance(
            arguments, Mapping
        ):
            values = arguments.get("validValues")
            if isinstance(values, list) and values:
                return values
    return []


# Both


def outline(element: Mapping[str, Any]) -> dict[str, Any]:
    """What an object or property says of its schema, without what is the contract's own."""
    made: dict[str, Any] = {key: element[key] for key in element if key in _FROM_SCHEMA}
    if isinstance(made.get("properties"), list):
        made["properties"] = [
            {"name": one.get("name"), **outline(one)} if isinstance(one, Mapping) else one
            for one in made["properties"]
        ]
    if isinstance(made.get("items"), Mapping):
        made["items"] = outline(made["items"])
    return made


def overlaid(kept: Mapping[str, Any], made: Mapping[str, Any]) -> dict[str, Any]:
    """What the schema says now, with what the contract says beside it of the same properties."""
    merged = {key: item for key, item in kept.items() if key not in _FROM_SCHEMA} | dict(made)
    known = kept.get("properties")
    if isinstance(made.get("properties"), list) and isinstance(known, list):
        before = {one.get("name"): one for one in known if isinstance(one, Mapping)}
        merged["properties"] = [
            overlaid(before[one["name"]], one) if one["name"] in before else one
            for one in made["properties"]
        ]
    if isinstance(made.get("items"), Mapping) and isinstance(kept.get("items"), Mapping):
        merged["items"] = overlaid(kept["items"], made["items"])
    return merged
