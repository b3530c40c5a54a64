"""Arrays of the left are arrays of the right: items by place, `contains`."""

from catalog.compatibility.evaluated import items_rest
from catalog.compatibility.joined import NOTHING, ArrayShape, Joined, Key
from catalog.compatibility.proving import Prover
from catalog.compatibility.types import Outcome
from catalog.compatibility.values import position


def item_key(prover: Prover, key: Key, at: int) -> Key:
    """What the item at a place may be; NOTHING when there is none."""
    most = prover.joins[key].count("maxItems")
    if most is not None and at >= most:
        return NOTHING
    numbers: set[int] = set()
    for shape in prover.arrays_of(key):
        if shape.forbids and at >= len(shape.prefix):
            return NOTHING
        number = position(shape, at)
        if number is not None:
            numbers.add(number)
    return prover.joins.entry(numbers)


def prefix_length(shapes: list[ArrayShape]) -> int:
    """How many places the longest of the shapes fixes."""
    return max((len(shape.prefix) for shape in shapes), default=0)


def array_outcome(prover: Prover, left: Key, shape: ArrayShape) -> Outcome:
    """Each place up to the longest prefix, and one beyond for all the rest."""
    places = prefix_length([shape, *prover.arrays_of(left)])
    found = Outcome.YES
    for at in range(places + 1):
        have = item_key(prover, left, at)
        if have is NOTHING or prover.is_empty(have):
            break  # no array is longer
        wanted = position(shape, at)
        if wanted is not None:
            found = min(found, prover.below(have, prover.joins.entry([wanted])))
        if found is Outcome.NO:
            break
    return found


def longest(prover: Prover, key: Key) -> int | None:
    """The greatest number of items, when something limits it."""
    limits = [shape for shape in prover.arrays_of(key) if shape.forbids]
    found = [len(shape.prefix) for shape in limits]
    most = prover.joins[key].count("maxItems")
    return min([*found, *([] if most is None else [most])], default=None)


def contains_outcome(prover: Prover, left: Key, wanted: tuple[int, int, int | None]) -> Outcome:
    """`contains` of the right as (node, least, most); NO where it is not shown."""
    inside, least, most = wanted
    right = Key(frozenset({inside}))
    enough = least <= 0 or _has_enough(prover, left, right, least)
    few = most is None or _has_few(prover, left, right, most)
    return Outcome.YES if enough and few else Outcome.NO


def _has_enough(prover: Prover, left: Key, right: Key, least: int) -> bool:
    joined = prover.joins[left]
    for inside, count, _, _ in joined.contains:
        have = Key(frozenset({inside}))
        if count >= least and prover.exact.below(have, right) is Outcome.YES:
            return True
    sure, fewest = 0, joined.count("minItems") or 0
    if fewest < least:
        return False
    places = prefix_length(prover.arrays_of(left))
    for at in range(min(fewest, places)):
        sure += prover.exact.below(item_key(prover, left, at), right) is Outcome.YES
    if fewest > places and prover.exact.below(item_key(prover, left, places), right):
        rest = prover.exact.below(item_key(prover, left, places), right)
        sure += fewest - places if rest is Outcome.YES else 0
    return sure >= least


def _has_few(prover: Prover, left: Key, right: Key, most: int) -> bool:
    limit = longest(prover, left)
    if limit is not None and limit <= most:
        return True
    for inside, _, count, _ in prover.joins[left].contains:
        have = Key(frozenset({inside}))
        if count is not None and count <= most and prover.exact.below(right, have) is Outcome.YES:
            return True
    places = prefix_length(prover.arrays_of(left))
    return all(
        prover.is_empty(item_key(prover, left, at).and_holds(*right.holds))
        for at in range(places + 1)
    )


def right_arrays(prover: Prover, left: Key, right: Joined) -> list[ArrayShape]:
    """The shapes that the right asks for, `unevaluatedItems` as far as it is certain."""
    shapes = list(right.arrays)
    for node in right.unevaluated:
        if node.unevaluated_items is not None:
            shapes += items_rest(prover, node, left, certain=True)
    return shapes
