"""Which properties and items schemas in place evaluate, for `unevaluated…`; the writer's closing.

What alternatives and conditions evaluate is only known once a proof has split them. Seen from the
left, all they may evaluate counts (fewer constraints, never too many); seen from the right, only
what certainly applies to the documents of the left.
"""

from dataclasses import dataclass, field
from typing import Final

from catalog.compatibility.joined import ArrayShape, Key, ObjectShape
from catalog.compatibility.nodes import Node
from catalog.compatibility.proving import Prover
from catalog.compatibility.types import Outcome

MAX_GROUPS: Final = 3  # with more alternatives than these, each is taken as possible


@dataclass(slots=True)
class Evaluated:
    """Names and patterns, and whether everything is; the same of items."""

    names: set[str] = field(default_factory=set)
    patterns: set[str] = field(default_factory=set)
    all_names: bool = False
    length: int = 0
    all_items: bool = False


def evaluated(prover: Prover, owners: frozenset[int], key: Key, *, certain: bool) -> Evaluated:
    """What the nodes `owners` evaluate in documents of the key."""
    found = Evaluated()
    seen: set[int] = set()
    todo = list(owners)
    while todo:
        number = todo.pop()
        if number in seen:
            continue
        seen.add(number)
        node = prover.joins.nodes[number]
        _note(found, node, certain=certain)
        if number not in owners:  # what an inner one takes is evaluated for the outer
            found.all_names |= node.unevaluated_properties is not None
            found.all_items |= node.unevaluated_items is not None
        todo += node.parts
        todo += _certain(prover, node, key) if certain else _possible(prover, node, key)
    return found


def _note(found: Evaluated, node: Node, *, certain: bool) -> None:
    found.names.update(node.properties)
    found.patterns.update(node.patterns)
    if node.additional is not None:
        found.all_names = True
    found.length = max(found.length, len(node.prefix))
    if node.items is not None or (node.contains is not None and not certain):
        found.all_items = True


def _certain(prover: Prover, node: Node, key: Key) -> list[int]:
    asked = [one for each in node.sums for one in each.members]
    asked += [] if node.condition is None else [node.condition[0]]
    held = [one for one in asked if prover.exact.within(key, Key(frozenset({one}))) is Outcome.YES]
    if node.condition is not None:
        test, then, otherwise = node.condition
        if test in held or test in key.holds:
            held += [] if then is None else [then]
        elif otherwise is not None and test in key.fails:
            held.append(otherwise)
    required = prover.joins[key].required
    return held + [number for name, number in node.dependent_schemas if name in required]


def _possible(prover: Prover, node: Node, key: Key) -> list[int]:
    found = [number for _, number in node.dependent_schemas]
    for each in node.sums:
        for at, member in enumerate(each.members):
            if each.plain and each.plain[at] in key.fails:
                continue
            alone = len(prover.joins[key].groups) <= MAX_GROUPS
            if not (alone and prover.is_empty(key.and_holds(member))):
                found.append(member)
    if node.condition is not None:
        test, then, otherwise = node.condition
        found += [] if test in key.fails else [one for one in (test, then) if one is not None]
        found += [] if test in key.holds or otherwise is None else [otherwise]
    return found


def left_objects(prover: Prover, key: Key) -> list[ObjectShape]:
    """What the documents of a key meet in their properties, closings included."""
    joined = prover.joins[key]
    shapes = list(joined.objects)
    if key.closed is not None:
        names: dict[str, int | None] = dict.fromkeys(sorted(key.closed.names))
        shapes.append(ObjectShape(names, dict.fromkeys(key.closed.patterns), None, None, True))
    for node in joined.unevaluated:
        if node.unevaluated_properties is not None:
            shapes += properties_rest(prover, node, key, certain=False)
    return shapes


def properties_rest(prover: Prover, owner: Node, key: Key, *, certain: bool) -> list[ObjectShape]:
    """The shape that a node's `unevaluatedProperties` comes to for documents of the key."""
    holds = frozenset({owner.number})
    known = evaluated(prover, holds, key, certain=certain)
    if known.all_names:
        return []
    rest = owner.unevaluated_properties
    return [_closing(known, rest, owner, forbids=prover.joins.is_false(rest))]


def _closing(
    known: Evaluated, rest: int | None, owner: Node | None, *, forbids: bool
) -> ObjectShape:
    names: dict[str, int | None] = dict.fromkeys(sorted(known.names))
    patterns: dict[str, int | None] = dict.fromkeys(sorted(known.patterns))
    return ObjectShape(names, patterns, rest, owner, forbids)


def left_arrays(prover: Prover, key: Key) -> list[ArrayShape]:
    """What the documents of a key meet in their items."""
    joined = prover.joins[key]
    shapes = list(joined.arrays)
    for node in joined.unevaluated:
        if node.unevaluated_items is not None:
            shapes += items_rest(prover, node, key, certain=False)
    return shapes


def items_rest(prover: Prover, owner: Node, key: Key, *, certain: bool) -> list[ArrayShape]:
    """The shape that a node's `unevaluatedItems` comes to for documents of the key; none where
    all items are evaluated."""
    holds = frozenset({owner.number})
    known = evaluated(prover, holds, key, certain=certain)
    if known.all_items:
        return []
    rest = owner.unevaluated_items
    return [ArrayShape((None,) * known.length, rest, owner, prover.joins.is_false(rest))]
