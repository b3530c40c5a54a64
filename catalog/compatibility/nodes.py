"""The internal form: one schema of one document, read in its draft, under one view.

Everything that differs between drafts ends here: later modules see kinds, bounds, shapes and
references to other nodes. The **view** says how content models are taken:

- PLAIN: as written.
- WRITER: as a producer may use it: closed. Where a value starts, nothing beyond what the schema
  and all it applies in place declare (where that is so is decided in `writer.py`); an explicit
  `additionalProperties: true` says no more than its absence.
- READER: as a consumer should take it: open. `additionalProperties: false` and
  `unevaluatedProperties: false` are dropped; `oneOf` over alternatives that this opens becomes
  `anyOf`, since opened alternatives overlap.

What stands under `not`, `if`, `contains` and `propertyNames` is always PLAIN: opening it would
narrow the whole.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from fractions import Fraction
from typing import Any, Final

from catalog.compatibility import dialects
from catalog.compatibility.documents import Document
from portal.kernel.strict_json import pointer_part

NUMBERS: Final = frozenset({"int", "whole", "fraction"})  # 1 · 1.0 · 1.5
ALL_KINDS: Final = NUMBERS | {"null", "boolean", "string", "array", "object"}
_KINDS: Final = {
    "null": frozenset({"null"}),
    "boolean": frozenset({"boolean"}),
    "string": frozenset({"string"}),
    "array": frozenset({"array"}),
    "object": frozenset({"object"}),
    "number": NUMBERS,
    "integer": frozenset({"int", "whole"}),
}


class View(IntEnum):
    PLAIN = 0
    WRITER = 1
    READER = 2


@dataclass(frozen=True, slots=True)
class Bound:
    """A numeric bound; `exclusive` is the tighter of two with the same value."""

    value: Fraction
    exclusive: bool
    keyword: str


@dataclass(frozen=True, slots=True)
class Sum:
    """Alternatives. `plain` are the same as written, when exactly one of them may hold."""

    keyword: str
    members: tuple[int, ...]
    plain: tuple[int, ...] = ()


@dataclass(slots=True)
class Node:
    """A schema, read. Numbers of other nodes stand for subschemas; None means not said."""

    number: int
    document: Document
    pointer: str
    view: View
    raw: Mapping[str, Any]
    kinds: frozenset[str] | None = None
    values: list[Any] | None = None
    lower: list[Bound] = field(default_factory=list)
    upper: list[Bound] = field(default_factory=list)
    multiple: Fraction | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    formats: tuple[str, ...] = ()
    noted_format: str | None = None
    prefix: tuple[int, ...] = ()
    items: int | None = None
    min_items: int | None = None
    max_items: int | None = None
    unique: bool = False
    contains: tuple[int, int, int | None] | None = None
    properties: dict[str, int] = field(default_factory=dict)
    patterns: dict[str, int] = field(default_factory=dict)
    lists_names: bool = False
    additional: int | None = None
    required: tuple[str, ...] = ()
    min_properties: int | None = None
    max_properties: int | None = None
    names: int | None = None
    dependent_required: dict[str, tuple[str, ...]] = field(default_factory=dict)
    dependent_schemas: tuple[tuple[str, int], ...] = ()
    parts: tuple[int, ...] = ()
    sums: tuple[Sum, ...] = ()
    negated: int | None = None
    condition: tuple[int, int | None, int | None] | None = None
    unevaluated_properties: int | None = None
    unevaluated_items: int | None = None
    has_default: bool = False
    classification: str | None = None
    is_read: bool = False


class Nodes:
    """All nodes of a comparison, read on demand and numbered."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, str, View], int] = {}
        self._nodes: list[Node] = []
        self._opened: dict[tuple[int, str], bool] = {}

    def __getitem__(self, number: int) -> Node:
        node = self._nodes[number]
        if not node.is_read:
            node.is_read = True
            if isinstance(node.raw, dict):
                _Reading(self, node).read()
        return node

    def view_of(self, number: int) -> View:
        """The view a place is read under, without reading it."""
        return self._nodes[number].view

    def raw_of(self, number: int) -> Mapping[str, Any]:
        """What stands at a place; nothing for `true` and `false`."""
        return self._nodes[number].raw

    def is_false(self, number: int) -> bool:
        """Whether a place holds the schema `false`, without reading it."""
        node = self._nodes[number]
        return not node.raw and node.kinds == frozenset()

    def document_of(self, number: int) -> Document:
        """The document that a place stands in, without reading the place."""
        return self._nodes[number].document

    def number(self, document: Document, pointer: str, view: View) -> int:
        """The number of a place of a document under a view."""
        key = (id(document), pointer, view)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = len(self._nodes)
            raw = document.at(pointer)
            node = Node(known, document, pointer, view, raw if isinstance(raw, dict) else {})
            if raw is False:
                node.kinds = frozenset()
            self._nodes.append(node)
        return known

    def opens(self, document: Document, pointer: str) -> bool:
        """Whether the reader view of a place is wider than what is written there."""
        known = self._opened.get((id(document), pointer))
        if known is None:
            known = self._opened[id(document), pointer] = _says_closed(document, pointer)
        return known


def exact(value: Any) -> Fraction:
    """A JSON number as it was written, without binary rounding."""
    return Fraction(value) if isinstance(value, int) else Fraction(repr(value))


def _says_closed(document: Document, start: str) -> bool:
    seen: set[str] = set()
    todo = [start]
    while todo:
        pointer = todo.pop()
        if pointer in seen:
            continue
        seen.add(pointer)
        inner: list[Any] = [document.at(pointer)]
        while inner:
            part = inner.pop()
            if isinstance(part, dict):
                if (
                    part.get("additionalProperties") is False
                    or part.get("unevaluatedProperties") is False
                ):
                    return True
                if isinstance(part.get("$ref"), str):
                    todo.append(document.target(pointer, part["$ref"]))
                inner += [one for one in part.values() if isinstance(one, dict | list)]
            elif isinstance(part, list):
                inner += [one for one in part if isinstance(one, dict | list)]
    return False


class _Reading:
    """Reads one schema object into its node."""

    def __init__(self, nodes: Nodes, node: Node) -> None:
        self.nodes = nodes
        self.node = node
        self.document = node.document
        self.draft = node.document.draft
        self.known = dialects.KEYWORDS[self.draft]

    def read(self) -> None:
        raw = self.node.raw
        if "$ref" in raw and self.draft in dialects.REF_HIDES_SIBLINGS:
            self.node.parts = (self._target("$ref"),)
            return
        self._annotations()
        self._kinds()
        self._numbers()
        self._text()
        self._arrays()
        self._objects()
        self._dependencies()
        self._applied()

    def get(self, keyword: str) -> Any:
        return self.node.raw.get(keyword) if keyword in self.known else None

    def _child(self, *steps: str | int, view: View | None = None) -> int:
        pointer = "".join(f"/{pointer_part(step)}" for step in steps)
        return self.nodes.number(
            self.document, self.node.pointer + pointer, self.node.view if view is None else view
        )

    def _one(self, keyword: str, view: View | None = None) -> int | None:
        found = self.get(keyword)
        return self._child(keyword, view=view) if isinstance(found, dict | bool) else None

    def _many(self, keyword: str, view: View | None = None) -> tuple[int, ...]:
        found = self.get(keyword)
        if not isinstance(found, list):
            return ()
        return tuple(self._child(keyword, at, view=view) for at in range(len(found)))

    def _map(self, keyword: str) -> dict[str, int]:
        found = self.get(keyword)
        if not isinstance(found, dict):
            return {}
        return {
            name: self._child(keyword, name)
            for name, part in found.items()
            if isinstance(part, dict | bool)
        }

    def _target(self, keyword: str) -> int:
        pointer = self.document.target(self.node.pointer, self.node.raw[keyword], keyword)
        return self.nodes.number(self.document, pointer, self.node.view)

    def _annotations(self) -> None:
        self.node.has_default = "default" in self.node.raw
        said = self.node.raw.get("x-classification")
        self.node.classification = said if isinstance(said, str) else None

    def _kinds(self) -> None:
        said = self.get("type")
        if said is not None:
            listed = [said] if isinstance(said, str) else said
            kinds: frozenset[str] = frozenset()
            for one in listed:
                whole = one == "integer" and self.draft == "4"
                kinds |= frozenset({"int"}) if whole else _KINDS.get(one, frozenset())
            self.node.kinds = kinds
        if isinstance(self.get("enum"), list):
            self.node.values = list(self.node.raw["enum"])
        if "const" in self.node.raw and "const" in self.known:
            only = self.node.raw["const"]
            self.node.values = [
                one for one in self.node.values or [only] if same_value(one, only)
            ]  # fmt: skip

    def _numbers(self) -> None:
        for name, bounds in (("imum", self.node.lower), ("imum", self.node.upper)):
            plain = ("min" if bounds is self.node.lower else "max") + name
            strict = "exclusive" + plain.capitalize()
            value, edge = self.get(plain), self.get(strict)
            if _is_number(value):
                bounds.append(Bound(exact(value), edge is True, plain))
            if _is_number(edge) and self.draft not in dialects.BOOLEAN_EXCLUSIVE:
                bounds.append(Bound(exact(edge), True, strict))
        if _is_number(self.get("multipleOf")):
            self.node.multiple = exact(self.node.raw["multipleOf"])

    def _count(self, keyword: str) -> int | None:
        value = self.get(keyword)
        return int(value) if _is_number(value) else None

    def _text(self) -> None:
        node = self.node
        node.min_length, node.max_length = self._count("minLength"), self._count("maxLength")
        pattern = self.get("pattern")
        node.pattern = pattern if isinstance(pattern, str) else None
        said = self.get("format")
        if isinstance(said, str):
            if said in dialects.FORMATS[self.draft]:
                node.formats = (said,)
            else:
                node.noted_format = said
        for keyword in ("contentEncoding", "contentMediaType"):
            if isinstance(self.get(keyword), str):
                node.formats += (f"{keyword}:{node.raw[keyword]}",)

    def _arrays(self) -> None:
        node = self.node
        node.min_items, node.max_items = self._count("minItems"), self._count("maxItems")
        node.unique = self.get("uniqueItems") is True
        if self.draft in dialects.POSITIONAL_ITEMS and isinstance(self.get("items"), list):
            node.prefix = self._many("items")
            node.items = self._one("additionalItems")
        else:
            node.prefix, node.items = self._many("prefixItems"), self._one("items")
        inside = self._one("contains", view=View.PLAIN)
        if inside is not None:
            least = self._count("minContains")
            node.contains = (inside, 1 if least is None else least, self._count("maxContains"))
        node.unevaluated_items = self._one("unevaluatedItems")

    def _objects(self) -> None:
        node = self.node
        node.properties, node.patterns = self._map("properties"), self._map("patternProperties")
        node.lists_names = any(
            isinstance(self.get(keyword), dict) for keyword in ("properties", "patternProperties")
        )
        node.min_properties = self._count("minProperties")
        node.max_properties = self._count("maxProperties")
        required = self.get("required")
        if isinstance(required, list):
            node.required = tuple(dict.fromkeys(n for n in required if isinstance(n, str)))
        node.names = self._one("propertyNames", view=View.PLAIN)
        reader = node.view is View.READER
        if not (reader and self.get("additionalProperties") is False):
            node.additional = self._one("additionalProperties")
        if not (reader and self.get("unevaluatedProperties") is False):
            node.unevaluated_properties = self._one("unevaluatedProperties")

    def _dependencies(self) -> None:
        for keyword in ("dependencies", "dependentRequired"):
            for name, part in (self.get(keyword) or {}).items():
                if isinstance(part, list):
                    known = self.node.dependent_required.get(name, ())
                    self.node.dependent_required[name] = (*known, *part)
        self.node.dependent_schemas = (
            *self._map("dependencies").items(),
            *self._map("dependentSchemas").items(),
        )

    def _applied(self) -> None:
        node = self.node
        node.parts = self._many("allOf") + tuple(
            self._target(keyword)
            for keyword in ("$ref", "$recursiveRef", "$dynamicRef")
            if isinstance(self.get(keyword), str)
        )
        if self.get("anyOf"):
            node.sums += (Sum("anyOf", self._many("anyOf")),)
        if self.get("oneOf"):
            places = [f"{node.pointer}/oneOf/{at}" for at in range(len(self.get("oneOf")))]
            opened = node.view is View.READER and any(
                self.nodes.opens(self.document, place) for place in places
            )
            plain = () if opened else self._many("oneOf", view=View.PLAIN)
            node.sums += (Sum("oneOf", self._many("oneOf"), plain),)
        node.negated = self._one("not", view=View.PLAIN)
        asked = self._one("if", view=View.PLAIN)
        if asked is not None:
            node.condition = (asked, self._one("then"), self._one("else"))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def frozen(value: Any) -> Any:
    """A hashable stand-in that is equal exactly when two JSON values are: 1 is 1.0, not true."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return (type(value).__name__, value)
    if isinstance(value, int | float):
        return ("number", value)
    if isinstance(value, list):
        return ("array", tuple(frozen(one) for one in value))
    return ("object", frozenset((name, frozen(one)) for name, one in value.items()))


def same_value(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal, as parts of a schema too. Python takes true for 1."""
    return bool(one == other) and _are_alike(one, other)


def _are_alike(one: Any, other: Any) -> bool:
    """Whether of two values that Python finds equal the same places hold booleans."""
    if isinstance(one, dict):
        return all(_are_alike(part, other[name]) for name, part in one.items())
    if isinstance(one, list | tuple):
        return all(map(_are_alike, one, other))
    return isinstance(one, bool) == isinstance(other, bool)
