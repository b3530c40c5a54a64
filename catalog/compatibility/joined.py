"""Schemas joined: what a value has to meet where several nodes apply to it at once.

A **Key** names such a conjunction; it is small, hashable and finite in number, so that pairs of
keys can be remembered and recursion ends. **Joined** is its flat form: `allOf`, references and
dependencies that certainly apply are followed, each once, and every constraint is kept with the
node that says it. Alternatives and conditions stay as groups until a proof splits them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Final, NamedTuple

from catalog.compatibility.budget import MAX_JOINED, Budget, ExhaustedError
from catalog.compatibility.nodes import (
    ALL_KINDS,
    NUMBERS,
    Bound,
    Node,
    Nodes,
    Sum,
    View,
)
from catalog.compatibility.writer import Plan, Start


class Key(NamedTuple):
    """Nodes that hold, nodes that do not, groups already split, and what a split added.

    `closed`: the start, when the value starts here in the writer's view and that closes it.
    """

    holds: frozenset[int]
    fails: frozenset[int] = frozenset()
    split: frozenset[tuple[int, str]] = frozenset()
    kinds: frozenset[str] | None = None
    needs: frozenset[str] = frozenset()
    closed: Start | None = None

    def and_holds(self, *numbers: int) -> "Key":
        return self._replace(holds=self.holds.union(numbers))

    def and_fails(self, *numbers: int) -> "Key":
        return self._replace(fails=self.fails.union(numbers))


NOTHING: Final = Key(frozenset(), kinds=frozenset())
ANYTHING: Final = Key(frozenset())


@dataclass(frozen=True, slots=True)
class ObjectShape:
    """One schema's say on properties; None as `additional` means open."""

    properties: dict[str, int | None]
    patterns: dict[str, int | None]
    additional: int | None
    node: Node | None
    forbids: bool = False  # additional is `false`


@dataclass(frozen=True, slots=True)
class ArrayShape:
    """One schema's say on items: by place, then `items` for the rest; None means open.

    `forbids`: there is no rest.
    """

    prefix: tuple[int | None, ...]
    items: int | None
    node: Node | None
    forbids: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Alternatives (a Sum) or a condition of a node, not split yet."""

    node: Node
    keyword: str
    sum: Sum | None = None
    condition: tuple[int, int | None, int | None] | None = None

    @property
    def name(self) -> tuple[int, str]:
        """What `Key.split` knows it by: the node's number and the keyword."""
        return (self.node.number, self.keyword)


@dataclass(slots=True)
class Joined:
    """All constraints of a key, each list in the order met, with the node that says it."""

    key: Key
    nodes: list[Node] = field(default_factory=list)
    kinds: frozenset[str] = ALL_KINDS
    typed: list[Node] = field(default_factory=list)
    values: list[Node] = field(default_factory=list)
    lower: list[tuple[Bound, Node]] = field(default_factory=list)
    upper: list[tuple[Bound, Node]] = field(default_factory=list)
    multiples: list[tuple[Fraction, Node]] = field(default_factory=list)
    patterns: list[tuple[str, Node]] = field(default_factory=list)
    formats: list[tuple[str, Node]] = field(default_factory=list)
    counts: dict[str, tuple[int, Node]] = field(default_factory=dict)
    unique: Node | None = None
    arrays: list[ArrayShape] = field(default_factory=list)
    contains: list[tuple[int, int, int | None, Node]] = field(default_factory=list)
    objects: list[ObjectShape] = field(default_factory=list)
    required: dict[str, Node | None] = field(default_factory=dict)
    names: list[tuple[int, Node]] = field(default_factory=list)
    dependent_required: list[tuple[str, tuple[str, ...], Node]] = field(default_factory=list)
    dependent_schemas: list[tuple[str, int, Node]] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    fails: list[tuple[int, Node | None]] = field(default_factory=list)
    unevaluated: list[Node] = field(default_factory=list)

    def count(self, keyword: str) -> int | None:
        """The bound of `minLength`, `maxItems` and their like; None where nothing says one."""
        found = self.counts.get(keyword)
        return None if found is None else found[0]


_TIGHTEST: Final = {
    "minLength": ("min_length", max),
    "maxLength": ("max_length", min),
    "minItems": ("min_items", max),
    "maxItems": ("max_items", min),
    "minProperties": ("min_properties", max),
    "maxProperties": ("max_properties", min),
}


class Joins:
    """Makes and remembers the flat forms of keys."""

    def __init__(self, nodes: Nodes, budget: Budget) -> None:
        self.nodes = nodes
        self.budget = budget
        self._joined: dict[Key, Joined] = {}
        self._negating: set[int] = set()
        self._entries: dict[frozenset[int], Key] = {}
        self._plans: dict[int, Plan] = {}
        self.least: dict[Key, tuple[Any, ...]] = {}  # a small document of a key, by samples.py

    def __getitem__(self, key: Key) -> Joined:
        known = self._joined.get(key)
        if known is None:
            if len(self._joined) >= MAX_JOINED:
                raise ExhaustedError
            known = self._joined[key] = self._join(key)
        return known

    def entry(self, numbers: Iterable[int]) -> Key:
        """The key of a value's start: closed where the writer's form of its document closes."""
        holds = frozenset(numbers)
        known = self._entries.get(holds)
        if known is None:
            known = self._entries[holds] = Key(holds, closed=self._start_of(holds))
        return known

    def _start_of(self, holds: frozenset[int]) -> Start | None:
        writers = frozenset(n for n in holds if self.nodes.view_of(n) is View.WRITER)
        return self.plan_of(next(iter(writers))).start(writers) if writers else None

    def plan_of(self, number: int) -> Plan:
        """Where the writer's form closes, of the document that a node of that view is part of."""
        document = self.nodes.document_of(number)
        known = self._plans.get(id(document))
        if known is None:
            root = self.nodes.number(document, "", View.WRITER)
            known = self._plans[id(document)] = Plan(self, root)
        return known

    def in_place(self, numbers: Iterable[int], *, conditional: bool) -> Iterator[Node]:
        """The nodes applied to the same value, with or without those that may not apply."""
        seen: dict[int, Node] = {}
        todo = list(numbers)
        while todo:
            number = todo.pop()
            if number in seen:
                continue
            node = seen[number] = self.nodes[number]
            yield node
            self.budget.check()
            todo += node.parts
            if conditional:
                for one in node.sums:
                    todo += one.members
                todo += [one for one in node.condition or () if one is not None]
                todo += [one for _, one in node.dependent_schemas]

    def _join(self, key: Key) -> Joined:
        joined = Joined(key)
        seen: set[int] = set()
        todo = sorted(key.holds, reverse=True)
        joined.required = dict.fromkeys(sorted(key.needs))
        joined.fails = [(number, None) for number in sorted(key.fails)]
        while True:
            while todo:
                number = todo.pop()
                if number not in seen:
                    seen.add(number)
                    node = self.nodes[number]
                    self._add(joined, node)
                    todo += reversed(node.parts)
            todo = self._certain_dependencies(joined, seen) + self._twice_negated(joined, seen)
            if not todo:
                break
        kept: list[tuple[int, Node | None]] = []
        for number, origin in joined.fails:
            excluded = self._only(number)
            if excluded is None or excluded.fails:
                kept.append((number, origin))
            else:
                joined.kinds -= excluded.kinds  # `not` of nothing but types is types
        joined.fails = kept
        if key.kinds is not None:
            joined.kinds &= key.kinds
        _drop_impossible(joined)
        return joined

    def _only(self, number: int) -> Joined | None:
        """What a negated node says, when it is nothing but kinds, or nothing but a negation."""
        if number in self._negating:
            return None
        self._negating.add(number)
        joined = self[Key(frozenset({number}))]
        self._negating.discard(number)
        if joined.fails and joined.kinds != ALL_KINDS:
            return None
        bare = replace(joined, kinds=ALL_KINDS, fails=[])
        return joined if says_nothing(bare) else None

    def _twice_negated(self, joined: Joined, seen: set[int]) -> list[int]:
        """`not` of nothing but a `not` holds what that excludes."""
        inner = [self._only(number) for number, _ in joined.fails]
        return [
            number
            for one in inner
            if one is not None and len(one.fails) == 1 and one.kinds == ALL_KINDS
            for number, _ in one.fails
            if number not in seen
        ]

    def _certain_dependencies(self, joined: Joined, seen: set[int]) -> list[int]:
        """Required names bring their dependencies with them."""
        grown = True
        while grown:
            grown = False
            for name, others, node in joined.dependent_required:
                if name in joined.required:
                    for other in others:
                        grown = grown or other not in joined.required
                        joined.required.setdefault(other, node)
        return [
            number
            for name, number, _ in joined.dependent_schemas
            if name in joined.required and number not in seen
        ]

    def _add(self, joined: Joined, node: Node) -> None:
        joined.nodes.append(node)
        if node.kinds is not None:
            joined.kinds &= node.kinds
            joined.typed.append(node)
        if node.values is not None:
            joined.values.append(node)
        joined.lower += [(bound, node) for bound in node.lower]
        joined.upper += [(bound, node) for bound in node.upper]
        if node.multiple is not None:
            joined.multiples.append((node.multiple, node))
        if node.pattern is not None:
            joined.patterns.append((node.pattern, node))
        joined.formats += [(one, node) for one in node.formats]
        for keyword, (attribute, tightest) in _TIGHTEST.items():
            value = getattr(node, attribute)
            known = joined.count(keyword)
            if value is not None and (known is None or tightest(value, known) != known):
                joined.counts[keyword] = (value, node)
        if node.unique:
            joined.unique = joined.unique or node
        self._add_shapes(joined, node)
        self._add_applied(joined, node)

    def _add_shapes(self, joined: Joined, node: Node) -> None:
        if node.prefix or node.items is not None:
            joined.arrays.append(
                ArrayShape(node.prefix, node.items, node, self.is_false(node.items))
            )
        if node.contains is not None:
            joined.contains.append((*node.contains, node))
        if node.properties or node.patterns or node.additional is not None:
            joined.objects.append(
                ObjectShape(
                    dict(node.properties),
                    dict(node.patterns),
                    node.additional,
                    node,
                    self.is_false(node.additional),
                )
            )
        for name in node.required:
            joined.required.setdefault(name, node)
        if node.names is not None:
            joined.names.append((node.names, node))
        joined.dependent_required += [(n, o, node) for n, o in node.dependent_required.items()]
        joined.dependent_schemas += [(name, one, node) for name, one in node.dependent_schemas]

    def _add_applied(self, joined: Joined, node: Node) -> None:
        groups = [Group(node, one.keyword, sum=one) for one in node.sums]
        if node.condition is not None:
            groups.append(Group(node, "if", condition=node.condition))
        joined.groups += [one for one in groups if one.name not in joined.key.split]
        if node.negated is not None:
            joined.fails.append((node.negated, node))
        if node.unevaluated_properties is not None or node.unevaluated_items is not None:
            joined.unevaluated.append(node)

    def is_false(self, number: int | None) -> bool:
        """Whether a node is the schema `false`."""
        return number is not None and self.nodes.is_false(number)

    def is_true(self, number: int | None) -> bool:
        """Whether a node says nothing about values: `true`, `{}`, annotations only."""
        return number is None or says_nothing(self[Key(frozenset({number}))])


def says_nothing(joined: Joined) -> bool:
    """Whether every value meets a joined schema."""
    return (
        joined.kinds == ALL_KINDS
        and not (joined.values or joined.lower or joined.upper or joined.multiples)
        and not (joined.patterns or joined.formats or joined.counts or joined.unique)
        and not (joined.arrays or joined.contains or joined.objects or joined.required)
        and not (joined.names or joined.dependent_required or joined.dependent_schemas)
        and not (joined.groups or joined.fails or joined.unevaluated or joined.key.closed)
    )


def _drop_impossible(joined: Joined) -> None:
    """Take away the kinds that the constraints leave no value of."""
    if joined.kinds & NUMBERS:
        if any(multiple.denominator == 1 for multiple, _ in joined.multiples):
            joined.kinds -= {"fraction"}
        low = max((b for b, _ in joined.lower), key=_tightness, default=None)
        high = min(
            (b for b, _ in joined.upper), key=lambda b: (b.value, not b.exclusive), default=None
        )
        if low is not None and high is not None:
            edge = low.exclusive or high.exclusive
            if low.value > high.value or (low.value == high.value and edge):
                joined.kinds -= NUMBERS
            elif low.value == high.value and low.value.denominator == 1:
                joined.kinds -= {"fraction"}
            elif whole_floor(low) > whole_ceiling(high):
                joined.kinds -= {"int", "whole"}
    for kind, least, most in (
        ("string", "minLength", "maxLength"),
        ("array", "minItems", "maxItems"),
        ("object", "minProperties", "maxProperties"),
    ):
        if (joined.count(least) or 0) > _or_infinite(joined.count(most)):
            joined.kinds -= {kind}
    if len(joined.required) > _or_infinite(joined.count("maxProperties")):
        joined.kinds -= {"object"}


def _tightness(bound: Bound) -> tuple[Fraction, bool]:
    return (bound.value, bound.exclusive)


def _or_infinite(value: int | None) -> float:
    return float("inf") if value is None else value


def whole_floor(bound: Bound) -> int:
    """The least whole number that a lower bound allows."""
    least = -(-bound.value.numerator // bound.value.denominator)
    return least + 1 if bound.exclusive and least == bound.value else least


def whole_ceiling(bound: Bound) -> int:
    """The greatest whole number that an upper bound allows."""
    most = bound.value.numerator // bound.value.denominator
    return most - 1 if bound.exclusive and most == bound.value else most
