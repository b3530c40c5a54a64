"""The rules of plain keywords as one table: what a keyword says, when it is implied, how it moves.

A rule reads one value off a joined schema (all the schemas that apply there together), so bounds
of `minimum` and `exclusiveMinimum`, of `allOf` members and of references are compared by meaning.
`implied(prover, left, value)`: do all documents of the left, of the rule's kinds, keep it?
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from catalog.compatibility import texts
from catalog.compatibility.arrays import longest
from catalog.compatibility.joined import Joined, Key, whole_ceiling, whole_floor
from catalog.compatibility.nodes import NUMBERS, Bound, Node
from catalog.compatibility.objects import closed_names
from catalog.compatibility.proving import Prover

_STRING: Final = frozenset({"string"})
_ARRAY: Final = frozenset({"array"})
_OBJECT: Final = frozenset({"object"})

# A value as the table sees it: what is compared, the node and keyword that say it.
Said = tuple[Any, Node, str]


@dataclass(frozen=True, slots=True)
class Rule:
    """`order`: +1 when a greater value is wider, -1 when narrower, 0 when there is no order."""

    name: str
    kinds: frozenset[str]
    order: int
    said: Callable[[Joined], Said | None]
    implied: Callable[[Prover, Key, Any], bool]


def _lower(joined: Joined) -> Said | None:
    if not joined.lower:
        return None
    bound, node = max(joined.lower, key=lambda each: (each[0].value, each[0].exclusive))
    return ((bound.value, bound.exclusive), node, bound.keyword)


def _upper(joined: Joined) -> Said | None:
    if not joined.upper:
        return None
    bound, node = min(joined.upper, key=lambda each: (each[0].value, not each[0].exclusive))
    return ((bound.value, not bound.exclusive), node, bound.keyword)


def _above(prover: Prover, left: Key, value: Any) -> bool:
    joined = prover.joins[left]
    have = _lower(joined)
    if have is None:
        return False
    if not joined.kinds & {"fraction"}:
        mine = Bound(have[0][0], have[0][1], "")
        return whole_floor(mine) >= whole_floor(Bound(value[0], value[1], ""))
    return bool(have[0] >= value)


def _below(prover: Prover, left: Key, value: Any) -> bool:
    joined = prover.joins[left]
    have = _upper(joined)
    if have is None:
        return False
    if not joined.kinds & {"fraction"}:
        mine = Bound(have[0][0], not have[0][1], "")
        return whole_ceiling(mine) <= whole_ceiling(Bound(value[0], not value[1], ""))
    return bool(have[0] <= value)


def _multiple(joined: Joined) -> Said | None:
    if not joined.multiples:
        return None
    values = tuple(sorted({multiple for multiple, _ in joined.multiples}))
    return (values, joined.multiples[0][1], "multipleOf")


def _divides(prover: Prover, left: Key, values: Any) -> bool:
    joined = prover.joins[left]
    have = [multiple for multiple, _ in joined.multiples]
    if not joined.kinds & {"fraction"}:
        have = [*have, values[0] / values[0]]  # each whole number is a multiple of 1
    return all(any((one / value).denominator == 1 for one in have) for value in values)


def _count(keyword: str) -> Callable[[Joined], Said | None]:
    def said(joined: Joined) -> Said | None:
        found = joined.counts.get(keyword)
        if found is None or (keyword.startswith("min") and found[0] == 0):
            return None
        return (found[0], found[1], keyword)

    return said


def _most(keyword: str) -> Callable[[Prover, Key, Any], bool]:
    def implied(prover: Prover, left: Key, value: Any) -> bool:
        have = prover.joins[left].count(keyword)
        return have is not None and have <= int(value)

    return implied


def _least(keyword: str) -> Callable[[Prover, Key, Any], bool]:
    def implied(prover: Prover, left: Key, value: Any) -> bool:
        return (prover.joins[left].count(keyword) or 0) >= int(value)

    return implied


def _fewest_items(prover: Prover, left: Key, value: Any) -> bool:
    joined = prover.joins[left]
    held = max((least for _, least, _, _ in joined.contains), default=0)
    return max(joined.count("minItems") or 0, held) >= int(value)


def _most_items(prover: Prover, left: Key, value: Any) -> bool:
    most = longest(prover, left)
    return most is not None and most <= value


def _fewest_properties(prover: Prover, left: Key, value: Any) -> bool:
    joined = prover.joins[left]
    return max(joined.count("minProperties") or 0, len(joined.required)) >= int(value)


def _most_properties(prover: Prover, left: Key, value: Any) -> bool:
    names = closed_names(prover, left)
    if names is not None and len(names) <= value:
        return True
    return _most("maxProperties")(prover, left, value)


def _patterns(joined: Joined) -> Said | None:
    if not joined.patterns:
        return None
    return (frozenset(p for p, _ in joined.patterns), joined.patterns[0][1], "pattern")


def _matches(prover: Prover, left: Key, values: Any) -> bool:
    have = {pattern for pattern, _ in prover.joins[left].patterns}
    return all(value in have or texts.matches_all(value) for value in values)


def _formats(joined: Joined) -> Said | None:
    if not joined.formats:
        return None
    keyword = joined.formats[0][0].rpartition(":")[0] or "format"
    return (frozenset(name for name, _ in joined.formats), joined.formats[0][1], keyword)


def _has_formats(prover: Prover, left: Key, values: Any) -> bool:
    return bool(values <= {name for name, _ in prover.joins[left].formats})


def _unique(joined: Joined) -> Said | None:
    return None if joined.unique is None else (True, joined.unique, "uniqueItems")


def _is_unique(prover: Prover, left: Key, _value: Any) -> bool:
    most = longest(prover, left)
    return prover.joins[left].unique is not None or (most is not None and most <= 1)


RULES: Final = (
    Rule("minimum", NUMBERS, -1, _lower, _above),
    Rule("maximum", NUMBERS, 1, _upper, _below),
    Rule("multiple_of", NUMBERS, 0, _multiple, _divides),
    Rule("min_length", _STRING, -1, _count("minLength"), _least("minLength")),
    Rule("max_length", _STRING, 1, _count("maxLength"), _most("maxLength")),
    Rule("pattern", _STRING, 0, _patterns, _matches),
    Rule("format", _STRING, 0, _formats, _has_formats),
    Rule("min_items", _ARRAY, -1, _count("minItems"), _fewest_items),
    Rule("max_items", _ARRAY, 1, _count("maxItems"), _most_items),
    Rule("unique_items", _ARRAY, 0, _unique, _is_unique),
    Rule("min_properties", _OBJECT, -1, _count("minProperties"), _fewest_properties),
    Rule("max_properties", _OBJECT, 1, _count("maxProperties"), _most_properties),
)


def implied(prover: Prover, left: Key, rule: Rule, right: Joined) -> bool:
    """Whether the left keeps what the right says by this rule."""
    said = rule.said(right)
    if said is None or not prover.joins[left].kinds & rule.kinds:
        return True
    return rule.implied(prover, left, said[0])
