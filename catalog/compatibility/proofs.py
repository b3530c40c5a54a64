"""Shows that every document of one joined schema is one of another: `within(left, right)`.

1. What is remembered, under computation, empty on the left or a finite list of values is answered
   at once. A pair under computation counts as shown: proofs about recursive schemas are
   coinductive. What was shown under such an assumption is remembered only when the pair it
   assumed is itself done.
2. Each constraint of the right has to follow from the left: by the table of plain keywords
   (`rules.py`), by shape (`objects.py`, `arrays.py`), by alternatives, negations and conditions.
3. Where that fails, the left is split: by the first of its alternatives or conditions, or by the
   kinds of values, and each part is tried. A part of an exclusive alternative excludes the others.

YES is a proof. NO and UNKNOWN are the absence of one: UNKNOWN where a condition of the right could
not be followed.
"""

from collections.abc import Callable
from typing import Any, Final, TypeVar

from catalog.compatibility.arrays import (
    array_outcome,
    contains_outcome,
    item_key,
    right_arrays,
)
from catalog.compatibility.budget import Budget
from catalog.compatibility.evaluated import left_arrays, left_objects
from catalog.compatibility.joined import (
    ArrayShape,
    Group,
    Joined,
    Joins,
    Key,
    ObjectShape,
    says_nothing,
    whole_ceiling,
    whole_floor,
)
from catalog.compatibility.nodes import Node, View, same_value
from catalog.compatibility.objects import (
    dependent_outcome,
    dependent_schema_outcome,
    names_outcome,
    property_key,
    required_outcome,
    right_objects,
    shape_outcome,
    worst,
)
from catalog.compatibility.rules import RULES, implied
from catalog.compatibility.samples import samples
from catalog.compatibility.types import Outcome, Policy
from catalog.compatibility.values import accepts

_MAX_FINITE: Final = 64
_MAX_ANSWERS: Final = 32
_MAX_EMPTIED: Final = 8
_Pair = tuple[Key, Key, bool]
_Asked = TypeVar("_Asked")
_Answer = TypeVar("_Answer")


class Proofs:
    """Proofs of one direction under one policy; `exact` is the same without exceptions."""

    def __init__(self, joins: Joins, budget: Budget, policy: Policy | None) -> None:
        self.joins = joins
        self.budget = budget
        self.lenient = policy is Policy.LENIENT
        self.takes_defaults = policy is not None
        # No prover holds itself: a comparison's memory goes as soon as it is answered.
        self._exact = None if policy is None else Proofs(joins, budget, None)
        self._known: dict[_Pair, Outcome] = {}
        self._active: dict[_Pair, int] = {}  # the pairs under computation: places in the stack
        self._levels: list[int] = []  # the level of each
        self._provisional: dict[_Pair, frozenset[int]] = {}  # shown, relying on active pairs
        self._trail: list[_Pair] = []  # the provisional pairs in their order
        self._refused = 0  # how often a pair met itself without going below
        self._level = 0  # how many properties and items below the start
        self._relied: set[int] = set()  # the active pairs that were taken as shown
        self._empty: dict[tuple[Key, bool], bool] = {}
        self._objects: dict[Key, list[ObjectShape]] = {}
        self._arrays: dict[Key, list[ArrayShape]] = {}
        self._finite: dict[Key, list[Any] | None] = {}
        self._overlaps: dict[Key, bool] = {}

    @property
    def exact(self) -> "Proofs":
        return self._exact or self

    def within(self, left: Key, right: Key, *, split: bool = True) -> Outcome:
        """Whether each document of the left is one of the right. Raises ExhaustedError."""
        pair = (left, right, split)
        known = self._known.get(pair)
        if known is not None:
            return known
        active = self._active.get(pair)
        if active is not None:
            if self._level > self._levels[active]:
                self._relied.add(active)
                return Outcome.YES
            self._refused += 1
            return Outcome.NO
        relied = self._provisional.get(pair)
        if relied is not None and self._level > max(self._levels[one] for one in relied):
            self._relied |= relied
            return Outcome.YES
        self.budget.spend()
        depth, refused, mark = len(self._levels), self._refused, len(self._trail)
        self._active[pair] = depth
        self._levels.append(self._level)
        outer, self._relied = self._relied, set()
        try:
            outcome = self._within(left, right, split=split)
        finally:
            del self._active[pair]
            self._levels.pop()
        self._relied.discard(depth)
        self._remember(pair, outcome, depth, mark, refused)
        self._relied |= outer
        return outcome

    def _remember(self, pair: _Pair, outcome: Outcome, depth: int, mark: int, refused: int) -> None:
        """Keep an outcome; what relied on this pair stands or falls with it."""
        if outcome is not Outcome.YES:
            self._forget(mark)
            if self._refused == refused:
                self._known[pair] = outcome
            self._relied = set()
        elif not self._relied:
            self._known[pair] = outcome
            for one in self._trail[mark:]:
                self._known[one] = Outcome.YES
            self._forget(mark)
        else:
            relied = frozenset(self._relied)
            for one in self._trail[mark:]:
                known = self._provisional.get(one)
                if known is not None and depth in known:
                    self._provisional[one] = (known - {depth}) | relied
            self._provisional[pair] = relied
            self._trail.append(pair)

    def _forget(self, mark: int) -> None:
        for one in self._trail[mark:]:
            self._provisional.pop(one, None)
        del self._trail[mark:]

    def below(self, left: Key, right: Key) -> Outcome:
        """As `within`, a level down: of a property or an item. Raises ExhaustedError."""
        self._level += 1
        try:
            return self.within(left, right)
        finally:
            self._level -= 1

    def _settled(
        self, known: dict[_Asked, _Answer], asked: _Asked, answer: Callable[[], _Answer]
    ) -> _Answer:
        """An answer remembered once it relies on no pair under computation."""
        if asked in known:
            return known[asked]
        outer, self._relied = self._relied, set()
        found = answer()
        if not self._relied:
            known[asked] = found
        self._relied |= outer
        return found

    def _within(self, left: Key, right: Key, *, split: bool) -> Outcome:
        wanted = self.joins[right]
        if says_nothing(wanted) or left.holds >= right.holds > frozenset():
            return Outcome.YES
        if self._says_the_same(left, right) or self.is_empty(left):
            return Outcome.YES
        values = self.finite(left)
        if values is not None:
            held = all(accepts(self.joins, right, value) for value in values)
            return Outcome.YES if held else Outcome.NO
        found = self._directly(left, wanted)
        if found is Outcome.YES or not split:
            return found
        return max(found, self._split(left, right))

    def _says_the_same(self, left: Key, right: Key) -> bool:
        """Whether each node of the right stands on the left in the same words.

        A writer's form is within what is written, and that within a reader's.
        """
        nodes = self.joins.nodes
        return right.holds > frozenset() and all(
            any(_is_same_text(mine, nodes[number]) for mine in self.joins[left].nodes)
            for number in right.holds
        )

    def _directly(self, left: Key, right: Joined) -> Outcome:
        have = self.joins[left]
        if not have.kinds <= right.kinds or right.values:
            return Outcome.NO
        if not all(implied(self, left, rule, right) for rule in RULES):
            return Outcome.NO
        found = self._shapes(left, have, right)
        for group in right.groups:
            if found is Outcome.NO:
                break
            found = min(found, self.group(left, group))
        if found and not all(self.is_empty(left.and_holds(one)) for one, _ in right.fails):
            return Outcome.NO
        return found

    def _shapes(self, left: Key, have: Joined, right: Joined) -> Outcome:
        found = Outcome.YES
        if "object" in have.kinds:
            found = self._object(left, right)
        if found and "array" in have.kinds:
            for shape in right_arrays(self, left, right):
                found = min(found, array_outcome(self, left, shape))
            if found:
                asked = (contains_outcome(self, left, one[:3]) for one in right.contains)
                found = min(found, worst(asked))
        return found

    def _object(self, left: Key, right: Joined) -> Outcome:
        found = worst(required_outcome(self, left, right, name) for name in right.required)
        for shape in right_objects(self, left, right) if found else ():
            found = min(found, shape_outcome(self, left, shape))
            if found is Outcome.NO:
                break
        for number, _ in right.names if found else ():
            found = min(found, names_outcome(self, left, number))
        for name, others, _ in right.dependent_required if found else ():
            found = min(found, dependent_outcome(self, left, right, name, others))
        for name, number, _ in right.dependent_schemas if found else ():
            found = min(found, dependent_schema_outcome(self, left, right, name, number))
        return found

    def group(self, left: Key, group: Group) -> Outcome:
        """An alternative or a condition of the right."""
        if group.sum is None:
            asked, then, otherwise = group.condition or (0, None, None)
            held = Outcome.YES
            if then is not None:
                held = self.within(left.and_holds(asked), Key(frozenset({then})))
            if held is Outcome.YES and otherwise is not None:
                held = self.within(left.and_fails(asked), Key(frozenset({otherwise})))
            return held if held is Outcome.YES else Outcome.UNKNOWN
        found = self._alternative(left, group)
        if found is not Outcome.YES:
            # One group of the left may answer for one of the right, without splitting the others.
            for mine in self.joins[left].groups[:_MAX_ANSWERS]:
                parts = (self._alternative(part, group) for part in _parts(left, mine))
                if all(one is Outcome.YES for one in parts):
                    return Outcome.YES
        return found

    def _alternative(self, left: Key, group: Group) -> Outcome:
        """Whether one alternative, and where they exclude each other only one, takes the left."""
        found = Outcome.NO
        if group.sum is None:
            return found
        for at, member in enumerate(group.sum.members):
            held = self.within(left, Key(frozenset({member})), split=False)
            others = [one for place, one in enumerate(group.sum.plain) if place != at]
            if held and not any(self.overlap(left.and_holds(member, one)) for one in others):
                found = max(found, held)
            if found is Outcome.YES:
                break
        return found

    def overlap(self, key: Key) -> bool:
        """Whether a document is known to be under the key: neither proof nor witness is no."""
        return self._settled(self._overlaps, key, lambda: self._has_witness(key))

    def _has_witness(self, key: Key) -> bool:
        if self.is_empty(key):
            return False
        return any(accepts(self.joins, key, guess) for guess in samples(self.joins, key))

    def _split(self, left: Key, right: Key) -> Outcome:
        have, wanted = self.joins[left], self.joins[right]
        if have.groups:
            parts = _parts(left, have.groups[0])
        elif len(have.kinds) > 1 and (wanted.groups or wanted.values or wanted.fails):
            parts = [left._replace(kinds=frozenset({kind})) for kind in sorted(have.kinds)]
        else:
            return Outcome.NO
        return worst(self.within(part, right) for part in parts)

    def is_empty(self, key: Key) -> bool:
        """Whether it is certain that no document is under the key."""
        return self.exact.certainly_empty(key, split=True)

    def certainly_empty(self, key: Key, *, split: bool) -> bool:
        """The same of an exact prover; `split` looks into alternatives, one level of them."""
        asked = (key, split)
        known = self._empty.get(asked)
        if known is not None:
            return known
        self.budget.spend()
        self._empty[asked] = False  # while it is computed: not certain
        outer, self._relied = self._relied, set()
        found = self._has_none(key, split=split)
        if not self._relied:
            self._empty[asked] = found
        else:
            del self._empty[asked]
        self._relied |= outer
        return found

    def _has_none(self, key: Key, *, split: bool) -> bool:
        joined = self.joins[key]
        if not joined.kinds:
            return True
        if joined.values:
            values = joined.values[0].values or []
            if not any(accepts(self.joins, key, value) for value in values):
                return True
        if all(self._has_none_of(kind, key, joined) for kind in joined.kinds):
            return True
        for number, _ in joined.fails:
            rest = key._replace(fails=key.fails - {number})
            if self.within(rest, Key(frozenset({number}))) is Outcome.YES:
                return True
        groups = (
            [one for one in joined.groups if one.sum is not None][:_MAX_EMPTIED] if split else []
        )
        return any(
            all(self.certainly_empty(part, split=False) for part in _parts(key, group))
            for group in groups
        )

    def _has_none_of(self, kind: str, key: Key, joined: Joined) -> bool:
        if kind == "object":
            return any(self.is_empty(property_key(self, key, name)) for name in joined.required)
        if kind == "array":
            fewest = joined.count("minItems") or 0
            places = max((len(one.prefix) for one in self.arrays_of(key)), default=0)
            return any(
                self.is_empty(item_key(self, key, at)) for at in range(min(fewest, places + 1))
            )
        return False

    def finite(self, key: Key) -> list[Any] | None:
        """All documents of a key, when they are few; None otherwise."""
        return self._settled(self._finite, key, lambda: self._list(key))

    def _list(self, key: Key) -> list[Any] | None:
        joined = self.joins[key]
        found: list[Any]
        if joined.values:
            found = min((node.values or [] for node in joined.values), key=len)
        elif joined.kinds <= {"null", "boolean"}:
            found = [None, True, False]
        elif joined.kinds <= {"int", "whole"} and joined.lower and joined.upper:
            low = max(whole_floor(bound) for bound, _ in joined.lower)
            high = min(whole_ceiling(bound) for bound, _ in joined.upper)
            if high - low >= _MAX_FINITE:
                return None
            found = list(range(low, high + 1))
        else:
            return None
        return [value for value in found if accepts(self.joins, key, value)]

    def objects_of(self, key: Key) -> list[ObjectShape]:
        """What documents of the key meet in their properties."""
        return self._settled(self._objects, key, lambda: left_objects(self, key))

    def arrays_of(self, key: Key) -> list[ArrayShape]:
        """What documents of the key meet in their items."""
        return self._settled(self._arrays, key, lambda: left_arrays(self, key))


def _is_same_text(left: Node, right: Node) -> bool:
    if not left.raw or not same_value(left.raw, right.raw):
        return False
    if left.view is View.READER or right.view is View.WRITER:
        return False
    one, other = left.document, right.document
    if one.draft != other.draft:
        return False
    return not (one.has_references or other.has_references) or same_value(one.root, other.root)


def _parts(key: Key, group: Group) -> list[Key]:
    """The keys that a group splits a key into; together they hold all its documents."""
    rest = key._replace(split=key.split | {group.name})
    if group.sum is None:
        asked, then, otherwise = group.condition or (0, None, None)
        return [
            rest.and_holds(asked, *([] if then is None else [then])),
            rest.and_fails(asked).and_holds(*([] if otherwise is None else [otherwise])),
        ]
    return [
        rest.and_holds(member).and_fails(
            *(one for place, one in enumerate(group.sum.plain) if place != at)
        )
        for at, member in enumerate(group.sum.members)
        if group.sum.plain or member not in group.sum.members[:at]
    ]
