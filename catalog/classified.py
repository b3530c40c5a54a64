"""What a contract calls personal, found in data by following data and contract together.

1. At each value all subschemas that apply to it are gathered: references, combinations,
   conditions; whichever branch would hold does not matter, any of them may classify.
2. If one of them says `personal` or `sensitive`, the value is masked, whole.
3. Otherwise the walk goes on into its properties and items. The data bounds its depth, so
   contracts that contain themselves need no bound of their own.

So nothing escapes that the field index leaves out for being no field: values of arrays and of maps,
names with dots, what lies deeper than the index goes.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote

from jsonschema_rs import Validator

from catalog.types import Classification
from portal.kernel.errors import InvalidError
from portal.kernel.json_schema import compile_schema

MASK: Final = "•••••"
SENSITIVITY: Final = (
    Classification.PUBLIC,
    Classification.INTERNAL,
    Classification.PERSONAL,
    Classification.SENSITIVE,
)
PERSONAL: Final = frozenset({"personal", "sensitive"})
_NOT_SCHEMAS: Final = frozenset({"enum", "const", "default", "examples", "example"})
_REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")
_LISTS: Final = ("allOf", "anyOf", "oneOf")
_SINGLE: Final = ("if", "then", "else", "not")
_MAPS: Final = ("dependentSchemas", "dependencies")

Schema = Mapping[str, Any]


def sensitivity_of(document: object) -> int:
    """The place in SENSITIVITY of the most sensitive classification anywhere in a document."""
    highest = 0
    for node in _nodes(document):
        said = node.get("x-classification")
        if isinstance(said, str) and said in Classification.values:
            highest = max(highest, SENSITIVITY.index(Classification(said)))
    return highest


def is_personal(document: object) -> bool:
    """Whether a document calls anything personal or sensitive."""
    return SENSITIVITY[sensitivity_of(document)] in PERSONAL


def mask(documents: Sequence[object], data: Any) -> tuple[Any, list[str]]:
    """A copy of the data without what any of the contracts calls personal, and where that stood.

    Places are dotted paths, `[]` for items and `*` for keys of maps, each once; `null` holds
    nothing and stays.
    """
    walk = _Walk([document for document in documents if isinstance(document, Mapping)])
    return walk.masked(data), list(walk.places)


class _Walk:
    def __init__(self, documents: Sequence[Schema]) -> None:
        self.documents = documents
        self.places: dict[str, None] = {}
        self._gathered: dict[tuple[int, ...], list[tuple[Schema, Schema]]] = {}

    def masked(self, data: Any) -> Any:
        return self._value([(document, document) for document in self.documents], data, "")

    def _value(self, schemas: list[tuple[Schema, Schema]], value: Any, path: str) -> Any:
        applying = self._gather(schemas)
        if any(_says_personal(schema) for schema, _ in applying):
            if value is None:
                return None
            self.places[path or "data"] = None
            return MASK
        if isinstance(value, dict):
            masked = {}
            for key, item in value.items():
                # A key that no contract names may be personal itself: it stays out of the place.
                is_named = any(key in _mapping(s.get("properties")) for s, _ in applying)
                step = key if is_named else "*"
                where = f"{path}.{step}" if path else step
                masked[key] = self._value(list(_of_property(applying, key)), item, where)
            return masked
        if isinstance(value, list):
            return [
                self._value(list(_of_item(applying, index)), item, f"{path}[]")
                for index, item in enumerate(value)
            ]
        return value

    def _gather(self, schemas: list[tuple[Schema, Schema]]) -> list[tuple[Schema, Schema]]:
        """The schemas and whatever they refer to or combine, each with its document."""
        key = tuple(id(schema) for schema, _ in schemas)
        if key not in self._gathered:
            found: dict[int, tuple[Schema, Schema]] = {}
            todo = list(schemas)
            while todo:
                schema, document = todo.pop()
                if id(schema) not in found:
                    found[id(schema)] = (schema, document)
                    todo += [(part, document) for part in _parts(schema, document)]
            self._gathered[key] = list(found.values())
        return self._gathered[key]


def _says_personal(schema: Schema) -> bool:
    said = schema.get("x-classification")
    return isinstance(said, str) and said in PERSONAL


def _parts(schema: Schema, document: Schema) -> Iterator[Schema]:
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
            candidates.append(_target(document, reference))
    return (part for part in candidates if isinstance(part, Mapping))


def _of_property(
    schemas: Sequence[tuple[Schema, Schema]], key: str
) -> Iterator[tuple[Schema, Schema]]:
    for schema, document in schemas:
        named = _mapping(schema.get("properties"))
        matching = [
            part
            for pattern, part in _mapping(schema.get("patternProperties")).items()
            if _matches(pattern, key)
        ]
        parts = [*([named[key]] if key in named else []), *matching]
        if not parts:
            parts = [schema.get("additionalProperties"), schema.get("unevaluatedProperties")]
        yield from ((part, document) for part in parts if isinstance(part, Mapping))


def _of_item(
    schemas: Sequence[tuple[Schema, Schema]], index: int
) -> Iterator[tuple[Schema, Schema]]:
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


def _matches(pattern: str, key: str) -> bool:
    """Whether a key fits a pattern, by the validator's engine, which never backtracks."""
    try:
        return _compiled(pattern).is_valid(key)
    except InvalidError:
        return True


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> Validator:
    return compile_schema({"pattern": pattern})


def _target(document: Schema, reference: str) -> Any:
    """What a reference within the document points to: a pointer or a name."""
    if not reference.startswith("#"):
        return None
    place = unquote(reference[1:])
    if place and not place.startswith("/"):
        return next((node for node in _nodes(document) if _is_named(node, place)), None)
    found: Any = document
    for step in place.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, Mapping) and key in found:
            found = found[key]
        elif isinstance(found, list) and key.isdigit() and int(key) < len(found):
            found = found[int(key)]
        else:
            return None
    return found


def _is_named(node: Schema, name: str) -> bool:
    return (
        name in (node.get("$anchor"), node.get("$dynamicAnchor")) or node.get("$id") == f"#{name}"
    )


def _nodes(document: object) -> Iterator[Schema]:
    """Every object of a document that may be a schema."""
    todo = [document]
    while todo:
        node = todo.pop()
        if isinstance(node, Mapping):
            yield node
            todo += [value for key, value in node.items() if key not in _NOT_SCHEMAS]
        elif isinstance(node, list):
            todo += node


def _mapping(value: object) -> Schema:
    return value if isinstance(value, Mapping) else {}
