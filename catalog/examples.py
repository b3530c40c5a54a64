"""An example of a contract's data that its own validator accepts, made of the contract's examples.

1. A whole example that the schema gives is taken first.
2. Else one is built: for each field its first example, default, enum value or constant, and where
   there is none a plain value of its type, format and bounds; `$ref` and `allOf` are followed, of
   alternatives the first one is taken.
3. Every candidate is judged by the validator; first with all fields, then with the needed ones,
   then with the next alternative. None passes: there is no example, and pages say so.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from catalog.references import target_of
from portal.kernel.errors import InvalidError
from portal.kernel.json_schema import compile_schema

MAX_DEPTH: Final = 12
MAX_STEPS: Final = 20_000
TRIES: Final = 4
_FORMATS: Final = {
    "date-time": "2026-01-31T12:00:00Z",
    "date": "2026-01-31",
    "time": "12:00:00Z",
    "duration": "PT5M",
    "email": "jo@example.com",
    "idn-email": "jo@example.com",
    "hostname": "www.example.com",
    "idn-hostname": "www.example.com",
    "ipv4": "203.0.113.24",
    "ipv6": "2001:db8::1",
    "uri": "https://www.example.com/page",
    "uri-reference": "/page",
    "iri": "https://www.example.com/page",
    "iri-reference": "/page",
    "uri-template": "/page/{id}",
    "uuid": "8f14e45f-ceea-4672-a1b0-3c1d2e4f5a6b",
    "json-pointer": "/page",
    "relative-json-pointer": "1/page",
    "regex": "^[a-z]+$",
}
_TEXTS: Final = ("text", "a", "A", "1", "abc", "ABC", "EUR", "en", "en-GB", "12345", "a1", "A1",
                 "a_b", "a-b", "A-1", "1.0.0", "v1", "#ffffff", "0123456789abcdef", "/a", "/a/b/1.0.0",
                 "123e4567-e89b-42d3-a456-426614174000", "+4712345678", *_FORMATS.values())  # fmt: skip


def example_of(document: Mapping[str, Any]) -> Any:
    """Data that the schema accepts; None when none was found."""
    try:
        validator = compile_schema(document)
    except InvalidError:
        return None
    for candidate in _candidates(document):
        if candidate is not None and validator.is_valid(candidate):
            return candidate
    return None


def _candidates(document: Mapping[str, Any]) -> Iterator[Any]:
    examples = document.get("examples")
    if isinstance(examples, list):
        yield from examples[:TRIES]
    for alternative in range(TRIES):
        for full in (True, False):
            yield _Builder(document, full, alternative).value(document, 0, ())


class _Builder:
    """One attempt: with all fields or the needed ones, and one choice among alternatives."""

    def __init__(self, document: Mapping[str, Any], full: bool, alternative: int) -> None:
        self.document = document
        self.full = full
        self.alternative = alternative
        self.steps = 0

    def value(self, given: Any, depth: int, refs: tuple[str, ...]) -> Any:
        self.steps += 1
        if not isinstance(given, Mapping):
            return "text"
        schema, refs = self._merged(given, refs)
        if "const" in schema:
            return schema["const"]
        for word in ("examples", "enum"):
            listed = schema.get(word)
            if isinstance(listed, list) and listed and depth:
                return listed[0]
        for word in ("example", "default"):
            if schema.get(word) is not None and depth:
                return schema[word]
        return self._of_type(_type(schema), schema, depth, refs)

    def _of_type(
        self, kind: str, schema: Mapping[str, Any], depth: int, refs: tuple[str, ...]
    ) -> Any:
        if kind == "object":
            return self._object(schema, depth, refs)
        if kind == "array":
            return self._array(schema, depth, refs)
        if kind in ("integer", "number"):
            return _number(schema, whole=kind == "integer")
        if kind == "string":
            return _text(schema)
        return kind == "boolean" or None

    def _object(self, schema: Mapping[str, Any], depth: int, refs: tuple[str, ...]) -> Any:
        properties = schema.get("properties")
        properties = properties if isinstance(properties, Mapping) else {}
        required = [name for name in schema.get("required") or () if isinstance(name, str)]
        wanted = [name for name in properties if self.full or name in required]
        wanted += [name for name in required if name not in properties]
        too_deep = depth >= MAX_DEPTH or self.steps > MAX_STEPS
        found = {}
        for name in wanted:
            given = properties.get(name, True)
            if given is False or (name not in required and (too_deep or self._recurs(given, refs))):
                continue
            found[name] = self.value(given, depth + 1, refs) if not too_deep else None
        return found

    def _recurs(self, given: Any, refs: tuple[str, ...]) -> bool:
        return isinstance(given, Mapping) and given.get("$ref") in (*refs, "#")

    def _array(self, schema: Mapping[str, Any], depth: int, refs: tuple[str, ...]) -> Any:
        first, items = schema.get("prefixItems"), schema.get("items")
        if isinstance(items, list):
            first, items = items, schema.get("additionalItems")
        found = [self.value(item, depth + 1, refs) for item in first or ()]
        least = schema.get("minItems")
        least = min(least, 50) if isinstance(least, int) else 0
        most = schema.get("maxItems")
        wanted = max(least, 0 if most == 0 or depth >= MAX_DEPTH or not self.full else 1)
        if items is not None and items is not False and not self._recurs(items, refs):
            while len(found) < wanted and self.steps < MAX_STEPS:
                found.append(self.value(items, depth + 1, refs))
        while len(found) < least:
            found.append(f"text {len(found) + 1}")
        return found

    def _merged(
        self, given: Mapping[str, Any], refs: tuple[str, ...]
    ) -> tuple[dict[str, Any], tuple[str, ...]]:
        """The schema with its references, `allOf` and one alternative of each sum laid into it."""
        merged = {word: part for word, part in given.items() if word not in _FOLLOWED}
        parts: list[Any] = []
        reference = given.get("$ref")
        if isinstance(reference, str) and reference not in refs:
            refs = (*refs, reference)
            parts.append(target_of(self.document, reference))
        branches = given.get("allOf")
        parts += branches if isinstance(branches, list) else []
        for word in ("oneOf", "anyOf"):
            branches = given.get(word)
            if isinstance(branches, list) and branches:
                parts.append(branches[self.alternative % len(branches)])
        for part in parts:
            self.steps += 1
            if isinstance(part, Mapping) and len(refs) <= MAX_DEPTH and self.steps < MAX_STEPS:
                inner, refs = self._merged(part, refs)
                _lay(merged, inner)
        return merged, refs


_FOLLOWED: Final = frozenset({"$ref", "allOf", "oneOf", "anyOf"})


def _lay(into: dict[str, Any], other: Mapping[str, Any]) -> None:
    for word, part in other.items():
        if word == "properties" and isinstance(part, Mapping):
            present = into.get("properties")
            into["properties"] = {**part, **(present if isinstance(present, Mapping) else {})}
        elif word == "required" and isinstance(part, list):
            into["required"] = [*(into.get("required") or ()), *part]
        else:
            into.setdefault(word, part)


def _type(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((item for item in kind if item != "null"), "null")
    if isinstance(kind, str):
        return kind
    if isinstance(schema.get("properties"), Mapping) or "required" in schema:
        return "object"
    if "items" in schema or "prefixItems" in schema:
        return "array"
    return "integer" if {"minimum", "maximum", "multipleOf"} & set(schema) else "string"


def _number(schema: Mapping[str, Any], *, whole: bool) -> float:
    """A number within the bounds, as near to 1 as they let."""

    def bound(word: str, otherwise: float) -> float:
        value = schema.get(word)
        return (
            value if isinstance(value, int | float) and not isinstance(value, bool) else otherwise
        )

    low, high = bound("minimum", -math.inf), bound("maximum", math.inf)
    above, below = bound("exclusiveMinimum", -math.inf), bound("exclusiveMaximum", math.inf)
    if schema.get("exclusiveMinimum") is True:  # draft 4
        above = low
    if schema.get("exclusiveMaximum") is True:
        below = high
    step = bound("multipleOf", 1)
    step = step if step > 0 else 1
    least, most = max(low, above), min(high, below)
    found = min(max(1.0, least), most)
    if "multipleOf" in schema or whole:
        found = math.ceil(found / step) * step
        found = found + step if found <= above else found
        found = found - step if found >= below or found > high else found
    elif found <= above or found >= below:
        found = (
            (least + most) / 2
            if math.isfinite(least + most)
            else (above + 1 if math.isfinite(above) else below - 1)
        )
    return int(found) if whole or float(found).is_integer() else found


def _text(schema: Mapping[str, Any]) -> str:
    known = _FORMATS.get(str(schema.get("format", "")))
    rules = {word: schema[word] for word in ("pattern", "minLength", "maxLength") if word in schema}
    if not rules:
        return known or "text"
    try:
        validator = compile_schema({"type": "string", **rules})
    except InvalidError:
        return known or "text"
    least, most = schema.get("minLength"), schema.get("maxLength")
    sizes = {min(size, 10_000) for size in (least, most) if isinstance(size, int) and size > 0}
    longer = [(text * size)[:size] for size in sizes for text in ("text ", "a", "A", "1")]
    tried = [known] if known else [*_TEXTS, *longer]
    return next((text for text in tried if validator.is_valid(text)), "text")
