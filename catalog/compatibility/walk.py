"""Finds the differences of two versions, place by place, and which of them break what.

The verdict is the proof's (`proofs.py`); this walk explains it. A difference breaks a direction
only where the proof fails at its place and at all places above it; where it fails and nothing
below says why, the place itself is reported. So the two never contradict each other.
"""

from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Final

from catalog.compatibility.budget import Budget
from catalog.compatibility.joined import Joined, Joins, Key
from catalog.compatibility.nodes import ALL_KINDS, NUMBERS, Node, frozen, same_value
from catalog.compatibility.places import BOTH, Found, Pair, Place, pointer_of
from catalog.compatibility.proofs import Proofs
from catalog.compatibility.rules import RULES, Rule, implied
from catalog.compatibility.types import Direction, Outcome
from catalog.compatibility.walk_arrays import walk_arrays
from catalog.compatibility.walk_groups import walk_groups
from catalog.compatibility.walk_objects import walk_objects

MAX_DIFFERENCES: Final = 1_000
MAX_PLACES: Final = 5_000
MAX_VISITS: Final = 3  # a definition used in many places is told at the first of them
_CLASSES: Final = ("public", "internal", "personal", "sensitive")
_MOVES: Final = {1: ("raised", "lowered"), -1: ("lowered", "raised")}


class Walk:
    """One comparison of two versions in both directions."""

    def __init__(self, joins: Joins, proofs: dict[Direction, Proofs], budget: Budget) -> None:
        self.joins = joins
        self.proofs = proofs
        self.budget = budget
        self.found: list[Found] = []
        self._places = 0
        self._open: set[tuple[Key, Key]] = set()
        self._visits: Counter[tuple[Key, Key]] = Counter()
        self._told: dict[tuple[Key, Key], frozenset[Direction]] = {}
        self._elsewhere: list[frozenset[Direction]] = []

    def failing(self, place: Place, gate: frozenset[Direction]) -> frozenset[Direction]:
        """The directions of the gate in which the place cannot be shown compatible."""
        return frozenset(
            one for one in gate if self.proofs[one].within(*place.pairs[one]) is not Outcome.YES
        )

    def asked(
        self,
        place: Place,
        gate: frozenset[Direction],
        question: Callable[[Proofs, Pair], Outcome | bool],
    ) -> frozenset[Direction]:
        """The directions of the gate in which the answer is not a plain yes."""
        answers = {one: question(self.proofs[one], place.pairs[one]) for one in gate}
        return frozenset(
            one for one, said in answers.items() if said is not True and said is not Outcome.YES
        )

    def note(
        self,
        place: Place,
        change: str,
        pointers: tuple[str | None, str | None],
        breaks: frozenset[Direction] = frozenset(),
        *,
        focus: str | None = None,
        **words: Any,
    ) -> None:
        """Add a difference; `pointers` are in the old and the new, `words` fill its sentence."""
        self.found.append(
            Found(place, change, pointers[0], pointers[1], breaks, dict(words), focus)
        )

    def walk(self, place: Place, gate: frozenset[Direction] = BOTH) -> None:
        """Compare a place and all below it."""
        key = (place.old, place.new)
        self._places += 1
        crowded = self._places > MAX_PLACES or len(self.found) >= MAX_DIFFERENCES
        if key in self._open or (crowded and place.steps) or self._visits[key] >= MAX_VISITS:
            self._elsewhere.append(self._told.get(key, gate))
            return
        self._visits[key] += 1
        self.budget.spend()
        old, new = self.joins[place.old], self.joins[place.new]
        if _same_text(old, new):
            return
        self._open.add(key)
        gate = self.failing(place, gate)
        before, elsewhere = len(self.found), len(self._elsewhere)
        self._compare(place, gate, old, new)
        self._open.discard(key)
        said = {one for found in self.found[before:] for one in found.breaks}
        said.update(one for told in self._elsewhere[elsewhere:] for one in told)
        del self._elsewhere[elsewhere:]
        self._told[key] = gate
        rest = gate - said
        if rest:
            change = "schema_changed" if len(rest) == 2 else "schema_narrowed"
            if rest == {Direction.FORWARD}:
                change = "schema_widened"
            pointers = (_start(old), _start(new))
            self.note(place, change, pointers, rest)

    def _compare(self, place: Place, gate: frozenset[Direction], old: Joined, new: Joined) -> None:
        self._types(place, gate, old, new)
        self._enums(place, gate, old, new)
        for rule in RULES:
            if (old.kinds | new.kinds) & rule.kinds:
                self._rule(place, gate, rule, old, new)
        self._notes(place, old, new)
        if "object" in old.kinds | new.kinds:
            walk_objects(self, place, gate)
        if "array" in old.kinds | new.kinds:
            walk_arrays(self, place, gate)
        walk_groups(self, place, gate)

    def _types(self, place: Place, gate: frozenset[Direction], old: Joined, new: Joined) -> None:
        before, after = _typed(old), _typed(new)
        if before == after:
            return
        if before < after:
            change = "type_widened"
        else:
            change = "type_narrowed" if after < before else "type_changed"
        breaks = self.asked(
            place, gate, lambda p, pair: self.joins[pair.left].kinds <= self.joins[pair.right].kinds
        )
        pointers = (_pointer(old.typed, old, "type"), _pointer(new.typed, new, "type"))
        self.note(place, change, pointers, breaks, old=_kind_words(before), new=_kind_words(after))

    def _enums(self, place: Place, gate: frozenset[Direction], old: Joined, new: Joined) -> None:
        before, after = _listed(old), _listed(new)
        if before is None and after is None:
            return
        gone = [value for mark, value in (before or {}).items() if mark not in (after or {})]
        come = [value for mark, value in (after or {}).items() if mark not in (before or {})]
        if before is not None and after is not None:
            if not gone and not come:
                return
            change = (
                "enum_changed" if gone and come else "enum_narrowed" if gone else "enum_extended"
            )
        else:
            change = "enum_added" if before is None else "enum_removed"
        breaks = frozenset(
            one
            for one in gate
            if self.joins[place.pairs[one].right].values and not self._is_listed(place, one)
        )
        keyword = [_enum_keyword(side) for side in (old, new)]
        pointers = (_pointer(old.values, old, keyword[0]), _pointer(new.values, new, keyword[1]))
        self.note(place, change, pointers, breaks, old=_values(gone), new=_values(come))

    def _is_listed(self, place: Place, direction: Direction) -> bool:
        left, right = place.pairs[direction]
        values = self.proofs[direction].finite(left)
        if values is None:
            return False
        marks = _listed(self.joins[right]) or {}
        return all(frozen(value) in marks for value in values)

    def _rule(
        self, place: Place, gate: frozenset[Direction], rule: Rule, old: Joined, new: Joined
    ) -> None:
        before, after = rule.said(old), rule.said(new)
        if (before and before[0]) == (after and after[0]):
            return
        breaks = self.asked(
            place,
            gate,
            lambda proofs, pair: implied(proofs, pair.left, rule, self.joins[pair.right]),
        )
        if before is None or after is None:
            move = "added" if before is None else "removed"
        elif rule.order:
            move = _MOVES[rule.order][0 if _greater(rule, after[0], before[0]) else 1]
            move = move if rule.order > 0 else {"lowered": "raised", "raised": "lowered"}[move]
        else:
            move = _direction_of(breaks)
        pointers = (
            before and pointer_of(before[1], before[2]),
            after and pointer_of(after[1], after[2]),
        )
        self.note(
            place, f"{rule.name}_{move}", (pointers[0] or _start(old), pointers[1] or _start(new)),
            breaks, old=_said(before), new=_said(after),
        )  # fmt: skip

    def _notes(self, place: Place, old: Joined, new: Joined) -> None:
        """What is worth telling and breaks no reader."""
        before, after = _noted(old), _noted(new)
        if after and before != after:
            self.note(place, "format_noted", (_start(old), _start(new)), old=before, new=after)
        before, after = _class(old), _class(new)
        if before != after and before in _CLASSES and after in _CLASSES:
            raised = _CLASSES.index(after) > _CLASSES.index(before)
            change = "classification_raised" if raised else "classification_lowered"
            self.note(place, change, (_start(old), _start(new)), old=before, new=after)


def _same_text(old: Joined, new: Joined) -> bool:
    """Whether both sides are one schema in the same words, references excepted."""
    if len(old.nodes) != 1 or len(new.nodes) != 1 or old.key.fails or new.key.fails:
        return False
    one, other = old.nodes[0], new.nodes[0]
    if one.document.draft != other.document.draft or not same_value(one.raw, other.raw):
        return False
    return "$ref" not in str(one.raw) and "Ref'" not in str(one.raw)


def _greater(rule: Rule, one: Any, other: Any) -> bool:
    return bool(one > other)


def _direction_of(breaks: frozenset[Direction]) -> str:
    if breaks == {Direction.BACKWARD}:
        return "tightened"
    return "loosened" if breaks == {Direction.FORWARD} else "changed"


def _start(joined: Joined) -> str | None:
    return joined.nodes[0].pointer if joined.nodes else None


def _pointer(nodes: list[Node], joined: Joined, keyword: str) -> str | None:
    return pointer_of(nodes[0], keyword) if nodes else _start(joined)


def _typed(joined: Joined) -> frozenset[str]:
    found = ALL_KINDS
    for node in joined.typed:
        found &= node.kinds or frozenset()
    return found


def _kind_words(kinds: frozenset[str]) -> str:
    if kinds == ALL_KINDS:
        return "any value"
    named = sorted(kinds - NUMBERS)
    if kinds & NUMBERS:
        named.append("number" if "fraction" in kinds else "integer")
    return " or ".join(named) or "no value"


def _listed(joined: Joined) -> dict[Any, Any] | None:
    if not joined.values:
        return None
    found = {frozen(value): value for value in joined.values[0].values or []}
    for node in joined.values[1:]:
        others = {frozen(value) for value in node.values or []}
        found = {mark: value for mark, value in found.items() if mark in others}
    return found


def _enum_keyword(joined: Joined) -> str:
    raw = joined.values[0].raw if joined.values else {}
    return "enum" if "enum" in raw else "const"


def _values(values: list[Any]) -> str:
    named = [repr(value) if isinstance(value, str) else str(value) for value in values[:5]]
    more = len(values) - len(named)
    return ", ".join(named)[:200] + (f" and {more} more" if more > 0 else "") or "its values"


def _said(said: Any) -> str:
    if said is None:
        return "none"
    value = said[0]
    if isinstance(value, tuple) and value and isinstance(value[0], Fraction):
        value = value[0]
    if isinstance(value, frozenset):
        return ", ".join(f"“{one.rpartition(':')[2] or one}”" for one in sorted(value))[:200]
    if isinstance(value, Fraction):
        return str(value.numerator if value.denominator == 1 else float(value))
    return str(value)


def _noted(joined: Joined) -> str:
    return next((node.noted_format for node in joined.nodes if node.noted_format), "")


def _class(joined: Joined) -> str:
    return next((node.classification for node in joined.nodes if node.classification), "public")
