"""An AsyncAPI document as a graph: following references, merging traits, telling schema formats."""

import re
from collections.abc import Mapping
from typing import Any, Final

from catalog.exchange.schema_references import (
    FaultError,
    Tokens,
    at,
    goes_in_circle,
    is_reference,
    leaves_document,
    points_at_nothing,
    put_at,
    tokens_of,
)

NEWEST: Final = "3.1.0"
KNOWN: Final = re.compile(r"3\.[01]\.\d+(?:-[\w.]+)?")
DRAFT_7: Final = "http://json-schema.org/draft-07/schema#"

_OWN_FORMAT: Final = re.compile(
    r"application/vnd\.aai\.asyncapi(?:\+(?:json|yaml))?(?:;\s*version=[\w.]+)?", re.IGNORECASE
)
_JSON_SCHEMA: Final = re.compile(
    r"application/schema\+(?:json|yaml)(?:;\s*version=(?P<draft>[\w-]+))?", re.IGNORECASE
)
_DIALECTS: Final = {
    "draft-04": "http://json-schema.org/draft-04/schema#",
    "draft-06": "http://json-schema.org/draft-06/schema#",
    "draft-07": DRAFT_7,
    "draft-2019-09": "https://json-schema.org/draft/2019-09/schema",
    "draft-2020-12": "https://json-schema.org/draft/2020-12/schema",
}
FORMAT_2020: Final = "application/schema+json;version=draft-2020-12"
_OTHER_FORMATS: Final = (
    ("avro", "Avro"),
    ("protobuf", "Protocol Buffers"),
    ("raml", "RAML"),
    ("openapi", "OpenAPI's own schema language"),
)


def follow(root: Mapping[str, Any], place: Tokens) -> tuple[Any, Tokens]:
    """What stands at a place once references are followed, and where it really stands.

    Raises FaultError when a reference leaves the document, points at nothing or never arrives.
    """
    seen: set[Tokens] = set()
    here = place
    found = at(root, here)
    while isinstance(found, Mapping) and isinstance(found.get("$ref"), str):
        reference = found["$ref"]
        onward = tokens_of(reference)
        if onward is None:
            raise FaultError(place, leaves_document(reference))
        if onward in seen:
            raise FaultError(place, goes_in_circle(reference))
        seen.add(onward)
        try:
            found = at(root, onward)
        except KeyError:
            raise FaultError(place, points_at_nothing(reference)) from None
        here = onward
    return found, here


def follow_schema(root: Mapping[str, Any], place: Tokens, kept: Any = None) -> tuple[Any, Tokens]:
    """The same for a schema, whose `$ref` with neighbours is a part of it and no reference.

    Where `kept` stands, put in at its place, it is the schema, even if it is but a reference.
    """
    seen: set[Tokens] = set()
    here = place
    found = at(root, here)
    while is_reference(found) and not (is_reference(kept) and put_at(kept, here) == found):
        reference = found["$ref"]
        onward = tokens_of(reference)
        if onward is None:
            raise FaultError(place, leaves_document(reference))
        if onward in seen:
            raise FaultError(place, goes_in_circle(reference))
        seen.add(onward)
        try:
            found = at(root, onward)
        except KeyError:
            raise FaultError(place, points_at_nothing(reference)) from None
        here = onward
    return found, here


def dialect_of(schema_format: str, place: Tokens) -> str | None:
    """The `$schema` that a format means; None for AsyncAPI's own. Raises FaultError for no JSON Schema."""
    if _OWN_FORMAT.fullmatch(schema_format):
        return None
    match = _JSON_SCHEMA.fullmatch(schema_format)
    draft = (match["draft"] or "draft-07").lower() if match else ""
    if draft in _DIALECTS:
        return _DIALECTS[draft]
    named = next((name for word, name in _OTHER_FORMATS if word in schema_format.lower()), "")
    what = f"in {named} ({schema_format[:80]})" if named else f"of the format {schema_format[:80]}"
    raise FaultError(place, f"has a schema {what}; the catalog holds JSON Schema alone")


def with_traits(root: Mapping[str, Any], value: Mapping[str, Any], place: Tokens) -> dict[str, Any]:
    """A message or operation with its traits merged in: its own words win, then the later trait's."""
    traits = value.get("traits")
    own = {key: item for key, item in value.items() if key != "traits"}
    if traits is None:
        return own
    if not isinstance(traits, list):
        raise FaultError((*place, "traits"), "must be a list of traits")
    merged: dict[str, Any] = {}
    for number in range(len(traits)):
        trait, there = follow(root, (*place, "traits", str(number)))
        if not isinstance(trait, Mapping):
            raise FaultError(there, "is no trait (an object)")
        merged = _patched(merged, trait)
    return _patched(merged, own)


def _patched(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """JSON Merge Patch of two objects, as the specification asks for."""
    patched = dict(below)
    for key, item in above.items():
        known = patched.get(key)
        if isinstance(known, Mapping) and isinstance(item, Mapping):
            patched[key] = _patched(known, item)
        else:
            patched[key] = item
    return patched


class Needs:
    """The components that parts of a document refer to, directly or not.

    Each part is looked through once, however many ask for it.
    """

    MOST = 50_000

    def __init__(self, root: Mapping[str, Any]) -> None:
        self.root = root
        self.known: dict[Tokens, tuple[frozenset[Tokens], int]] = {}
        self.left = 2_000_000

    def of(self, values: list[Any], place: Tokens) -> dict[str, dict[str, Any]]:
        """The components that the values need: `{section: {key: …}}`.

        Raises FaultError when that is more than a stream may carry along.
        """
        found: dict[str, dict[str, Any]] = {}
        todo, size = _look_through(values)
        waiting = list(todo)
        seen: set[Tokens] = set()
        while waiting:
            base = waiting.pop()
            if base in seen:
                continue
            seen.add(base)
            self.left -= 1
            try:
                part = at(self.root, base)
            except KeyError:
                continue
            onward, more = self._through(base, part)
            size += more
            if size > self.MOST or self.left < 0:
                raise FaultError(place, "needs more of the document's components than can be kept")
            found.setdefault(base[1], {})[base[2]] = part
            waiting += onward
        return found

    def _through(self, base: Tokens, part: Any) -> tuple[frozenset[Tokens], int]:
        if base not in self.known:
            self.known[base] = _look_through(part)
        return self.known[base]


def _look_through(value: Any) -> tuple[frozenset[Tokens], int]:
    """The components that a value names itself, and how many values it has."""
    bases: set[Tokens] = set()
    todo = [value]
    count = 0
    while todo:
        item = todo.pop()
        count += 1
        if isinstance(item, Mapping):
            reference = item.get("$ref")
            tokens = tokens_of(reference) if isinstance(reference, str) else None
            if tokens and tokens[0] == "components" and len(tokens) > 2:
                bases.add(tokens[:3])
            todo += item.values()
        elif isinstance(item, list):
            todo += item
    return frozenset(bases), count
