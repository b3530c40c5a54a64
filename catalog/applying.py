"""Which parts of a contract apply to a value: the steps of a walk through data and contract together.

Whichever branch would hold does not matter here: any of them may say something about the value.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote, urljoin

from jsonschema_rs import Validator

from portal.kernel.errors import InvalidError
from portal.kernel.json_schema import compile_schema

_NOT_SCHEMAS: Final = frozenset({"enum", "const", "default", "examples", "example"})
_REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")
_LISTS: Final = ("allOf", "anyOf", "oneOf")
_SINGLE: Final = ("if", "then", "else", "not")
_MAPS: Final = ("dependentSchemas", "dependencies")

Schema = Mapping[str, Any]


def parts_of(schema: Schema, document: Schema) -> Iterator[Schema]:
    """What a schema refers to or combines: all that may apply where it does."""
    candidates: list[Any] = [schema.get(word) for word in _SINGLE]
    for word in _LISTS:
        branches = schema.get(word)
        candidates += branches if isinstance(branches, list) else []
    for word in _MAPS:
        named = schema.get(word)
        candidates += named.values() if isinstance(named, Mapping) else []
    for word in _REFERENCES:
        reference = schema.get(word)
        if isinstance(reference, str):
            candidates.append(target_of(document, reference))
    return (part for part in candidates if isinstance(part, Mapping))


def of_property(
    schemas: Sequence[tuple[Schema, Schema]], key: str
) -> Iterator[tuple[Schema, Schema]]:
    """The schemas of a property, each with its document."""
    for schema, document in schemas:
        named = mapping(schema.get("properties"))
        matching = [
            part
            for pattern, part in mapping(schema.get("patternProperties")).items()
            if matches(pattern, key)
        ]
        parts = [*([named[key]] if key in named else []), *matching]
        if not parts:
            parts = [schema.get("additionalProperties"), schema.get("unevaluatedProperties")]
        yield from ((part, document) for part in parts if isinstance(part, Mapping))


def of_item(
    schemas: Sequence[tuple[Schema, Schema]], index: int
) -> Iterator[tuple[Schema, Schema]]:
    """The schemas of an item of an array, each with its document."""
    for schema, document in schemas:
        parts = [
            schema.get(word)
            for word in ("items", "additionalItems", "contains", "unevaluatedItems")
        ]
        for word in ("prefixItems", "items"):
            placed = schema.get(word)
            if isinstance(placed, list) and index < len(placed):
                parts.append(placed[index])
        yield from ((part, document) for part in parts if isinstance(part, Mapping))


def matches(pattern: str, key: str) -> bool:
    """Whether a key fits a pattern, by the validator's engine, which never backtracks."""
    try:
        return _compiled(pattern).is_valid(key)
    except InvalidError:
        return True


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> Validator:
    return compile_schema({"pattern": pattern})


def target_of(document: Schema, reference: str) -> Any:
    """What a reference within the document points to: a pointer, a name, or a part by its `$id`."""
    address, _, fragment = reference.partition("#")
    start: Any = _addressed(document, address) if address else document
    place = unquote(fragment)
    if place and not place.startswith("/"):
        return next((node for node in nodes_of(start) if _is_named(node, place)), None)
    found: Any = start
    for step in place.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, Mapping) and key in found:
            found = found[key]
        elif isinstance(found, list) and key.isdigit() and int(key) < len(found):
            found = found[int(key)]
        else:
            return None
    return found


def _addressed(document: Schema, address: str) -> Schema | None:
    """The part of the document with that `$id`, as written or taken relative to the document's."""
    base = document.get("$id")
    base = base.rstrip("#") if isinstance(base, str) else ""
    wanted = {address, urljoin(base, address)}
    for node in nodes_of(document):
        said = node.get("$id", node.get("id"))
        if isinstance(said, str) and {said.rstrip("#"), urljoin(base, said.rstrip("#"))} & wanted:
            return node
    return None


def _is_named(node: Schema, name: str) -> bool:
    return (
        name in (node.get("$anchor"), node.get("$dynamicAnchor")) or node.get("$id") == f"#{name}"
    )


def nodes_of(document: object) -> Iterator[Schema]:
    """Every object of a document that may be a schema."""
    todo = [document]
    while todo:
        node = todo.pop()
        if isinstance(node, Mapping):
            yield node
            todo += [value for key, value in node.items() if key not in _NOT_SCHEMAS]
        elif isinstance(node, list):
            todo += node


def mapping(value: object) -> Schema:
    """The value where it is an object; an empty one otherwise."""
    return value if isinstance(value, Mapping) else {}


class Gatherer:
    """Finds all that applies to a value; of schemas that were met before it remembers it."""

    def __init__(self) -> None:
        self._gathered: dict[tuple[int, ...], list[tuple[Schema, Schema]]] = {}

    def gather(self, schemas: list[tuple[Schema, Schema]]) -> list[tuple[Schema, Schema]]:
        """The schemas and whatever they refer to or combine, each with its document."""
        key = tuple(id(schema) for schema, _ in schemas)
        if key not in self._gathered:
            found: dict[int, tuple[Schema, Schema]] = {}
            todo = list(schemas)
            while todo:
                schema, document = todo.pop()
                if id(schema) not in found:
                    found[id(schema)] = (schema, document)
                    todo += [(part, document) for part in parts_of(schema, document)]
            self._gathered[key] = list(found.values())
        return self._gathered[key]
