"""Differences of alternatives, negations and conditions."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from catalog.compatibility.joined import Group, Joined, Key
from catalog.compatibility.matching import best_pairing
from catalog.compatibility.nodes import Node, same_value
from catalog.compatibility.places import BOTH, Pair, Place, pointer_of
from catalog.compatibility.proofs import Proofs
from catalog.compatibility.types import Direction, Outcome

if TYPE_CHECKING:
    from catalog.compatibility.walk import Walk

Gate = frozenset[Direction]
MAX_MATCHED = 40  # alternatives of one group that are matched; further ones keep their places


def walk_groups(walk: "Walk", place: Place, gate: Gate) -> None:
    """Note what differs in the alternatives and conditions of a place. Raises ExhaustedError."""
    old, new = walk.joins[place.old], walk.joins[place.new]
    sums = [[g for g in side.groups if g.sum is not None] for side in (old, new)]
    for at in range(max(len(side) for side in sums)):
        before = sums[0][at] if at < len(sums[0]) else None
        after = sums[1][at] if at < len(sums[1]) else None
        if before is not None and after is not None:
            _matched(walk, place, gate, before, after)
        elif before is not None or after is not None:
            change = "alternatives_introduced" if before is None else "alternatives_dropped"
            pointers = (_pointer(before), _pointer(after))
            walk.note(place, change, pointers, walk.asked(place, gate, _held(walk)))
    _negations(walk, place, gate, old, new)
    _conditions(walk, place, gate, old, new)


def _pointer(group: Group | None) -> str | None:
    return None if group is None else pointer_of(group.node, group.keyword)


def _held(walk: "Walk") -> Callable[[Proofs, Pair], Outcome]:
    def question(proofs: Proofs, pair: Pair) -> Outcome:
        return proofs.within(pair.left, pair.right)

    return question


def _matched(walk: "Walk", place: Place, gate: Gate, before: Group, after: Group) -> None:
    olds = before.sum.members if before.sum else ()
    news = after.sum.members if after.sum else ()
    same = before.keyword == after.keyword and _raw(walk, before) == _raw(walk, after)
    if same and "$ref" not in str(_raw(walk, before)):
        return
    places = [[_alternative(walk, place, before, o, after, n) for n in range(len(news))]
              for o in range(len(olds))]  # fmt: skip
    pairs = _best(walk, places, _raw(walk, before), _raw(walk, after))
    for at, other in sorted(pairs.items()):
        walk.walk(places[at][other], gate)
    for at in range(len(olds)):
        if at not in pairs:
            _gone(walk, place, gate, before, at, Direction.BACKWARD)
    for other in range(len(news)):
        if other not in pairs.values():
            _gone(walk, place, gate, after, other, Direction.FORWARD)


def _raw(walk: "Walk", group: Group) -> list[object]:
    found = group.node.raw.get(group.keyword)
    return list(found) if isinstance(found, list) else []


def _right_member(walk: "Walk", key: Key, group: Group, at: int) -> Key:
    """The same alternative as the readers of the other direction see it."""
    for known in walk.joins[key].groups:
        same = known.node.pointer == group.node.pointer
        if same and known.keyword == group.keyword and known.sum is not None:
            return Key(frozenset({known.sum.members[at]}))
    return key


def _alternative(
    walk: "Walk", place: Place, before: Group, old: int, after: Group, new: int
) -> Place:
    pairs = {}
    for one, (mine, at, theirs, other) in {
        Direction.BACKWARD: (before, old, after, new),
        Direction.FORWARD: (after, new, before, old),
    }.items():
        left, right = place.pairs[one]
        members = mine.sum.members if mine.sum else ()
        narrowed = left._replace(split=left.split | {mine.name}).and_holds(members[at])
        pairs[one] = Pair(narrowed, _right_member(walk, right, theirs, other))
    return Place(place.path, pairs, place.steps)


def _best(
    walk: "Walk", places: list[list[Place]], olds: list[object], news: list[object]
) -> dict[int, int]:
    """The pairing with the most in common: same words, then compatible, then of the same kind."""
    if len(olds) > MAX_MATCHED or len(news) > MAX_MATCHED:
        return {at: at for at in range(min(len(olds), len(news)))}
    scores = {
        (at, other): _score(walk, place, same_value(olds[at], news[other]))
        for at, row in enumerate(places)
        for other, place in enumerate(row)
    }
    return best_pairing(scores)


def _score(walk: "Walk", place: Place, same: bool) -> float:
    if same:
        return 100
    old, new = (walk.joins[key] for key in (place.old, place.new))
    common = old.kinds & new.kinds
    if not common:
        return 0
    held = sum(walk.proofs[one].within(*place.pairs[one]) is Outcome.YES for one in Direction)
    names = [{n for s in side.objects for n in s.properties} for side in (old, new)]
    shared = len(names[0] & names[1]) / max(1, len(names[0] | names[1]))
    return 10 * held + 1 + shared + len(common) / 10


def _gone(
    walk: "Walk", place: Place, gate: Gate, group: Group, at: int, direction: Direction
) -> None:
    """An alternative that only one version has; `direction` is the one that misses it."""
    came = direction is Direction.FORWARD
    member = (group.sum.members if group.sum else ())[at]
    left, right = place.pairs[direction]
    breaks: frozenset[Direction] = frozenset()
    narrowed = left._replace(split=left.split | {group.name}).and_holds(member)
    if direction in gate and walk.proofs[direction].within(narrowed, right) is not Outcome.YES:
        breaks |= {direction}
    other = next(iter(BOTH - {direction}))
    plain = group.sum.plain if group.sum else ()
    if plain and other in gate:
        left = place.pairs[other].left
        if walk.proofs[other].overlap(left.and_holds(plain[at])):
            breaks |= {other}
    here = pointer_of(group.node, group.keyword, str(at))
    pointers = (None, here) if came else (here, None)
    change = "alternative_added" if came else "alternative_removed"
    walk.note(place, change, pointers, breaks)


def _excluded(joined: Joined) -> list[tuple[int, Node]]:
    return [(node.negated, node) for node in joined.nodes if node.negated is not None]


def _negations(walk: "Walk", place: Place, gate: Gate, old: Joined, new: Joined) -> None:
    sides = [_excluded(side) for side in (old, new)]
    raws = [[walk.joins.nodes[number].raw for number, _ in side] for side in sides]
    if same_value(raws[0], raws[1]) and "$ref" not in str(raws):
        return

    def question(proofs: Proofs, pair: Pair) -> bool:
        excluded = _excluded(walk.joins[pair.right])
        return all(proofs.is_empty(pair.left.and_holds(number)) for number, _ in excluded)

    move = "changed" if sides[0] and sides[1] else "added" if sides[1] else "removed"
    pointers = tuple(pointer_of(side[0][1], "not") if side else None for side in sides)
    breaks = walk.asked(place, gate, question)
    if breaks or not same_value(raws[0], raws[1]):
        walk.note(place, f"not_{move}", (pointers[0], pointers[1]), breaks)


def _conditions(walk: "Walk", place: Place, gate: Gate, old: Joined, new: Joined) -> None:
    sides = [[g for g in side.groups if g.condition is not None] for side in (old, new)]
    raws = [
        [[g.node.raw.get(word) for word in ("if", "then", "else")] for g in side] for side in sides
    ]
    if same_value(raws[0], raws[1]) and "$ref" not in str(raws):
        return

    def question(proofs: Proofs, pair: Pair) -> Outcome:
        groups = [g for g in walk.joins[pair.right].groups if g.condition is not None]
        return min((proofs.group(pair.left, one) for one in groups), default=Outcome.YES)

    move = "changed" if sides[0] and sides[1] else "added" if sides[1] else "removed"
    pointers = tuple(pointer_of(side[0].node, "if") if side else None for side in sides)
    breaks = walk.asked(place, gate, question)
    if breaks or not same_value(raws[0], raws[1]):
        walk.note(place, f"condition_{move}", (pointers[0], pointers[1]), breaks)
