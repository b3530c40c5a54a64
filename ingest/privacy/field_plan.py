"""The plan of a contract's personal fields: which values of an event are treated, and how.

1. A contract without `x-privacy` has no plan, and costs nothing.
2. Of all parts of a contract that apply to a value (references, combinations, conditions, whichever
   branch would hold) the strictest treatment counts: drop, encrypt, tokenize, bucket, truncate.
3. A treated value is treated whole; what lies in it is not looked at again.
4. Only parts from which a treatment can be reached are walked. Places are worked out once and
   remembered, so a flat event costs one look per treated field.

`walk` changes the data in place and leaves what is done at a place to its caller.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from catalog.applying import Schema, mapping, nodes_of, of_item, of_property, parts_of
from portal.kernel.strict_json import pointer_part

DROP: Final = "drop"
ENCRYPT: Final = "encrypt"
TOKENIZE: Final = "tokenize"
BUCKET: Final = "bucket"
TRUNCATE: Final = "truncate"
# The strictest first.
STRICTNESS: Final = (DROP, ENCRYPT, TOKENIZE, BUCKET, TRUNCATE)
GENERAL_PURPOSE: Final = "general"
MAX_PURPOSE: Final = 60
_MAX_NAMES: Final = 1_000
_OPEN: Final = ("patternProperties", "additionalProperties", "unevaluatedProperties")


@dataclass(frozen=True, slots=True)
class Treatment:
    """What is done to a value; `options` are those of `x-privacy-options`."""

    word: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def purpose(self) -> str:
        """Within which equal values have equal tokens."""
        said = self.options.get("purpose")
        return said if isinstance(said, str) and 0 < len(said) <= MAX_PURPOSE else GENERAL_PURPOSE


class _Gone:
    """Stands for a value that is taken out."""


GONE: Final = _Gone()
# What is put in a value's place. The treatment is None where a container of treated fields should
# be and something else is.
Act = Callable[[Treatment | None, Any, str], Any]
_Applying = tuple[tuple[Schema, Schema], ...]


class _Node:
    """What is known of a value at one place of a contract."""

    __slots__ = ("_applying", "_items", "_named", "_names", "_plan", "any_name", "treatment")

    def __init__(self, plan: "FieldPlan", applying: _Applying) -> None:
        self._plan = plan
        self._applying = applying
        self._names: dict[str, _Node | None] = {}
        self._items: dict[int, _Node | None] = {}
        self.treatment = _strictest(schema for schema, _ in applying)
        self.any_name = any(word in schema for schema, _ in applying for word in _OPEN)
        self._named: tuple[str, ...] | None = None  # not now: contracts contain themselves

    @property
    def named(self) -> tuple[str, ...]:
        """The declared names at or below which something is treated."""
        if self._named is None:
            names = dict.fromkeys(
                name for schema, _ in self._applying for name in mapping(schema.get("properties"))
            )
            self._named = tuple(name for name in names if self.child(name) is not None)
        return self._named

    def child(self, name: str) -> "_Node | None":
        if name not in self._names:
            found = self._plan.node_of(of_property(self._applying, name))
            if len(self._names) >= _MAX_NAMES:
                return found
            self._names[name] = found
        return self._names[name]

    @property
    def has_items(self) -> bool:
        """Whether something is treated at or below an item."""
        return any(self.item(at) is not None for at in range(self._plan.longest_tuple + 1))

    def item(self, at: int) -> "_Node | None":
        at = min(at, self._plan.longest_tuple)
        if at not in self._items:
            self._items[at] = self._plan.node_of(of_item(self._applying, at))
        return self._items[at]


class FieldPlan:
    """The compiled plan of one contract."""

    def __init__(self, document: Schema, reaching: frozenset[int]) -> None:
        self._reaching = reaching
        self._nodes: dict[tuple[int, ...], _Node] = {}
        tuples = [
            len(listed)
            for node in nodes_of(document)
            for word in ("prefixItems", "items")
            if isinstance(listed := node.get(word), list)
        ]
        self.longest_tuple = max(tuples, default=0)
        root = self.node_of([(document, document)])
        assert root is not None, "a plan is made only where a treatment is reached"
        self._root = root

    def node_of(self, schemas: Iterable[tuple[Schema, Schema]]) -> _Node | None:
        """The node of all that applies where these schemas do; None where nothing is treated."""
        found: dict[int, tuple[Schema, Schema]] = {}
        todo = [one for one in schemas if id(one[0]) in self._reaching]
        while todo:
            schema, document = todo.pop()
            if id(schema) not in found:
                found[id(schema)] = (schema, document)
                todo += [
                    (part, document)
                    for part in parts_of(schema, document)
                    if id(part) in self._reaching
                ]
        if not found:
            return None
        key = tuple(sorted(found))
        node = self._nodes.get(key)
        if node is None:
            node = self._nodes[key] = _Node(self, tuple(found.values()))
        return node

    @property
    def treats_root(self) -> bool:
        """Whether the data as a whole is one treated value."""
        return self._root.treatment is not None

    def walk(self, data: Any, act: Act) -> Any:
        """Have `act` replace each treated value; gives the data, changed in place."""
        return _value(data, self._root, "/data", act)


def plan_of(document: object) -> FieldPlan | None:
    """The plan of a contract; None when it treats nothing."""
    if not isinstance(document, Mapping):
        return None
    reaching = _reaching(document)
    return FieldPlan(document, reaching) if id(document) in reaching else None


def _reaching(document: Schema) -> frozenset[int]:
    """The parts of a document from which one with a treatment is reached."""
    above: dict[int, list[int]] = {}
    found: set[int] = set()
    for node in nodes_of(document):
        if _said(node) is not None:
            found.add(id(node))
        for below in (*_within(node), *parts_of(node, document)):
            above.setdefault(id(below), []).append(id(node))
    todo = list(found)
    while todo:
        for parent in above.get(todo.pop(), ()):
            if parent not in found:
                found.add(parent)
                todo.append(parent)
    return frozenset(found)


def _within(node: Schema) -> Iterable[Schema]:
    for value in node.values():
        if isinstance(value, Mapping):
            yield value
        elif isinstance(value, list):
            yield from (item for item in value if isinstance(item, Mapping))


def _said(schema: Schema) -> str | None:
    word = schema.get("x-privacy")
    return word if isinstance(word, str) and word in STRICTNESS else None


def _strictest(schemas: Iterable[Schema]) -> Treatment | None:
    said = [(word, schema) for schema in schemas if (word := _said(schema)) is not None]
    if not said:
        return None
    word, schema = min(said, key=lambda one: STRICTNESS.index(one[0]))
    return Treatment(word, mapping(schema.get("x-privacy-options")))


def _value(value: Any, node: _Node, pointer: str, act: Act) -> Any:
    if node.treatment is not None:
        if value is None and node.treatment.word != DROP:  # there is nothing to hide
            return None
        return act(node.treatment, value, pointer)
    if isinstance(value, dict) and (node.any_name or node.named):
        for name in list(value) if node.any_name else node.named:
            child = node.child(name) if name in value else None
            if child is not None:
                made = _value(value[name], child, f"{pointer}/{pointer_part(name)}", act)
                if made is GONE:
                    del value[name]
                else:
                    value[name] = made
        return value
    if isinstance(value, list) and (not value or node.has_items):
        kept = []
        for at, one in enumerate(value):
            child = node.item(at)
            made = one if child is None else _value(one, child, f"{pointer}/{at}", act)
            if made is not GONE:
                kept.append(made)
        value[:] = kept
        return value
    return None if value is None else act(None, value, pointer)


def stored_form(document: Any) -> Any:
    """The contract that stored events fulfil: treated fields may hold anything or be gone."""
    if not isinstance(document, Mapping) or plan_of(document) is None:
        return document
    dropped = {
        name
        for node in nodes_of(document)
        for name, schema in mapping(node.get("properties")).items()
        if isinstance(schema, Mapping) and _drops(schema, document)
    }
    return _relaxed(document, dropped)


def _drops(schema: Schema, document: Schema) -> bool:
    treatment = _strictest([schema, *parts_of(schema, document)])
    return treatment is not None and treatment.word == DROP


def _relaxed(part: Any, dropped: set[str]) -> Any:
    if isinstance(part, list):
        return [_relaxed(one, dropped) for one in part]
    if not isinstance(part, Mapping):
        return part
    if _said(part) is not None:
        return {word: value for word, value in part.items() if word in {"$id", "$anchor", "$defs"}}
    found = {word: _relaxed(value, dropped) for word, value in part.items()}
    if isinstance(found.get("required"), list):
        found["required"] = [name for name in found["required"] if name not in dropped]
    return found
