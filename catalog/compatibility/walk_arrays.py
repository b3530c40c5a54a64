"""Differences of arrays: fixed places, the items beyond them, `contains`."""

from typing import TYPE_CHECKING

from catalog.compatibility.arrays import (
    array_outcome,
    contains_outcome,
    item_key,
    right_arrays,
)
from catalog.compatibility.joined import NOTHING, Joined
from catalog.compatibility.nodes import Node, same_value
from catalog.compatibility.objects import worst
from catalog.compatibility.places import Pair, Place, Step, pointer_of
from catalog.compatibility.proofs import Proofs
from catalog.compatibility.types import Direction, Outcome

if TYPE_CHECKING:
    from catalog.compatibility.walk import Walk

Gate = frozenset[Direction]


def walk_arrays(walk: "Walk", place: Place, gate: Gate) -> None:
    """Note what differs in the arrays of a place, items included. Raises ExhaustedError."""
    old, new = walk.joins[place.old], walk.joins[place.new]
    lengths = [max((len(s.prefix) for s in side.arrays), default=0) for side in (old, new)]
    for at in range(min(lengths)):
        walk.walk(_item(walk, place, at, f"{place.path}[{at}]"), gate)
    for at in range(min(lengths), max(lengths)):
        _fixed(walk, place, gate, at, came=lengths[1] > lengths[0])
    _rest(walk, place, gate, max(lengths))
    _contains(walk, place, gate)
    _unevaluated(walk, place, gate)


def _item(walk: "Walk", place: Place, at: int, path: str) -> Place:
    pairs = {
        one: Pair(*(item_key(walk.proofs[one], key, at) for key in pair))
        for one, pair in place.pairs.items()
    }
    return Place(path, pairs, (*place.steps, Step(at, place.pairs)))


def _keeps(walk: "Walk", proofs: Proofs, pair: Pair, at: int) -> Outcome:
    have = item_key(proofs, pair.left, at)
    if have == NOTHING or proofs.is_empty(have):
        return Outcome.YES
    return proofs.within(have, item_key(proofs, pair.right, at))


def _fixed(walk: "Walk", place: Place, gate: Gate, at: int, *, came: bool) -> None:
    side = walk.joins[place.new if came else place.old]
    node = next(s.node for s in side.arrays if len(s.prefix) > at)
    keyword = "prefixItems" if node is not None and "prefixItems" in node.raw else "items"
    here = pointer_of(node, keyword, str(at))
    pointers = (None, here) if came else (here, None)
    breaks = walk.asked(place, gate, lambda proofs, pair: _keeps(walk, proofs, pair, at))
    path = f"{place.path}[{at}]"
    change = "item_added" if came else "item_removed"
    walk.note(Place(path, place.pairs, place.steps), change, pointers, breaks, name=f"“{path}”")


def _model(walk: "Walk", joined: Joined) -> tuple[str, Node | None]:
    for shape in joined.arrays:
        if shape.items is not None and not walk.joins.is_true(shape.items):
            return ("closed" if shape.forbids else "limited"), shape.node
    return "open", None


def _rest(walk: "Walk", place: Place, gate: Gate, length: int) -> None:
    old, new = walk.joins[place.old], walk.joins[place.new]
    before, after = _model(walk, old), _model(walk, new)
    pointers = (pointer_of(before[1], "items"), pointer_of(after[1], "items"))
    if before[0] == after[0]:
        if before[0] == "limited":
            walk.walk(_item(walk, place, length, f"{place.path}[]"), gate)
        return
    if "closed" in (before[0], after[0]):
        change = "items_closed" if after[0] == "closed" else "items_opened"
    else:
        change = "items_added" if after[0] == "limited" else "items_removed"
    breaks = walk.asked(place, gate, lambda proofs, pair: _keeps(walk, proofs, pair, length))
    walk.note(place, change, pointers, breaks)


def _contains(walk: "Walk", place: Place, gate: Gate) -> None:
    sides = [walk.joins[key].contains for key in (place.old, place.new)]
    said = [[(walk.joins.nodes[n].raw, low, high) for n, low, high, _ in side] for side in sides]
    if same_value(said[0], said[1]):
        return

    def question(proofs: Proofs, pair: Pair) -> Outcome:
        asked = walk.joins[pair.right].contains
        return worst(contains_outcome(proofs, pair.left, one[:3]) for one in asked)

    move = "changed" if sides[0] and sides[1] else "added" if sides[1] else "removed"
    pointers = tuple(pointer_of(side[0][3], "contains") if side else None for side in sides)
    breaks = walk.asked(place, gate, question)
    walk.note(place, f"contains_{move}", (pointers[0], pointers[1]), breaks)


def _unevaluated(walk: "Walk", place: Place, gate: Gate) -> None:
    keyword = "unevaluatedItems"
    sides = [
        [node for node in walk.joins[key].unevaluated if node.unevaluated_items is not None]
        for key in (place.old, place.new)
    ]
    if same_value(*([n.raw[keyword] for n in side] for side in sides)):
        return

    def question(proofs: Proofs, pair: Pair) -> Outcome:
        right = walk.joins[pair.right]
        said = right_arrays(proofs, pair.left, right)[len(right.arrays) :]
        return worst(array_outcome(proofs, pair.left, shape) for shape in said)

    move = "changed" if sides[0] and sides[1] else "added" if sides[1] else "removed"
    pointers = tuple(pointer_of(side[0], keyword) if side else None for side in sides)
    breaks = walk.asked(place, gate, question)
    walk.note(place, f"unevaluated_{move}", (pointers[0], pointers[1]), breaks)
