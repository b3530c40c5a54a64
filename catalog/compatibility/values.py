"""Whether one document meets a joined schema: for enumerations and for checking guesses."""

from typing import Any

from catalog.compatibility import texts
from catalog.compatibility.joined import ArrayShape, Group, Joined, Joins, Key, ObjectShape
from catalog.compatibility.nodes import exact, frozen


def kind_of(value: Any) -> str:
    """The kind of a JSON value, one of ALL_KINDS: 1 is int, 1.0 whole, 1.5 fraction."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "int"
    if isinstance(value, float):
        return "whole" if value.is_integer() else "fraction"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def accepts(joins: Joins, key: Key, value: Any) -> bool:
    """Whether the value is valid under the key."""
    joins.budget.check()
    joined = joins[key]
    kind = kind_of(value)
    if kind not in joined.kinds or not _is_listed(joined, value):
        return False
    if kind in ("int", "whole", "fraction") and not _is_in_bounds(joined, value):
        return False
    if kind == "string" and not _is_text(joined, value):
        return False
    if kind == "array" and not _is_array(joins, joined, value):
        return False
    if kind == "object" and not _is_object(joins, joined, value):
        return False
    return _groups_hold(joins, joined, value) and not any(
        accepts(joins, joins.entry([number]), value) for number, _ in joined.fails
    )


def _is_listed(joined: Joined, value: Any) -> bool:
    wanted = frozen(value) if joined.values else None
    return all(any(frozen(one) == wanted for one in node.values or ()) for node in joined.values)


def _is_in_bounds(joined: Joined, value: Any) -> bool:
    number = exact(value)
    return (
        all(number > b.value or (number == b.value and not b.exclusive) for b, _ in joined.lower)
        and all(
            number < b.value or (number == b.value and not b.exclusive) for b, _ in joined.upper
        )
        and all((number / multiple).denominator == 1 for multiple, _ in joined.multiples)
    )


def _fits(joined: Joined, size: int, least: str, most: str) -> bool:
    high = joined.count(most)
    return size >= (joined.count(least) or 0) and (high is None or size <= high)


def _is_text(joined: Joined, value: str) -> bool:
    return (
        _fits(joined, len(value), "minLength", "maxLength")
        and all(texts.matches(pattern, value) for pattern, _ in joined.patterns)
        and all(texts.has_format(name, value) for name, _ in joined.formats)
    )


def position(shape: ArrayShape, at: int) -> int | None:
    """The node of the item at a place, counted from 0; None where anything may stand."""
    return shape.prefix[at] if at < len(shape.prefix) else shape.items


def _is_array(joins: Joins, joined: Joined, value: list[Any]) -> bool:
    if not _fits(joined, len(value), "minItems", "maxItems"):
        return False
    if joined.unique and len({frozen(one) for one in value}) < len(value):
        return False
    for at, one in enumerate(value):
        numbers = {position(shape, at) for shape in joined.arrays} - {None}
        if not accepts(joins, joins.entry(n for n in numbers if n is not None), one):
            return False
    for inside, least, most, _ in joined.contains:
        found = sum(accepts(joins, joins.entry([inside]), one) for one in value)
        if found < least or (most is not None and found > most):
            return False
    return all(
        _items_evaluated(joins, node.number, node.unevaluated_items, value)
        for node in joined.unevaluated
        if node.unevaluated_items is not None
    )


def covering(shape: ObjectShape, name: str) -> list[int | None]:
    """The schemas a shape applies to a name; its additional one when none is declared."""
    found: list[int | None] = []
    if name in shape.properties:
        found.append(shape.properties[name])
    found += [one for pattern, one in shape.patterns.items() if texts.matches(pattern, name)]
    return found or [shape.additional]


def _is_object(joins: Joins, joined: Joined, value: dict[str, Any]) -> bool:
    if not _fits(joined, len(value), "minProperties", "maxProperties"):
        return False
    if any(name not in value for name in joined.required):
        return False
    if any(
        name in value and any(other not in value for other in others)
        for name, others, _ in joined.dependent_required
    ):
        return False
    for name, one in value.items():
        numbers = {n for shape in joined.objects for n in covering(shape, name) if n is not None}
        if not accepts(joins, joins.entry(numbers), one):
            return False
        if any(not accepts(joins, joins.entry([n]), name) for n, _ in joined.names):
            return False
    if any(
        trigger in value and not accepts(joins, Key(frozenset({number})), value)
        for trigger, number, _ in joined.dependent_schemas
    ):
        return False
    closed = joined.key.closed
    if closed is not None and not all(closed.knows(name) for name in value):
        return False
    return all(
        _names_evaluated(joins, node.number, node.unevaluated_properties, value)
        for node in joined.unevaluated
        if node.unevaluated_properties is not None
    )


def _groups_hold(joins: Joins, joined: Joined, value: Any) -> bool:
    return all(_group_holds(joins, group, value) for group in joined.groups)


def _group_holds(joins: Joins, group: Group, value: Any) -> bool:
    if group.sum is not None:
        held = [accepts(joins, Key(frozenset({one})), value) for one in group.sum.members]
        if not any(held):
            return False
        plain = group.sum.plain
        return not plain or sum(accepts(joins, Key(frozenset({one})), value) for one in plain) == 1
    asked, then, otherwise = group.condition or (0, None, None)
    branch = then if accepts(joins, joins.entry([asked]), value) else otherwise
    return branch is None or accepts(joins, Key(frozenset({branch})), value)


def evaluated_names(
    joins: Joins, numbers: frozenset[int], value: dict[str, Any]
) -> set[str] | None:
    """The names that schemas in place evaluate for a value; None means all."""
    found: set[str] = set()
    for node in joins.in_place(_applying(joins, numbers, value), conditional=False):
        is_inner = node.unevaluated_properties is not None and node.number not in numbers
        if node.additional is not None or is_inner:
            return None
        for name in value:
            if name in node.properties or any(texts.matches(p, name) for p in node.patterns):
                found.add(name)
    return found


def _applying(joins: Joins, numbers: frozenset[int], value: Any) -> set[int]:
    """The given nodes and those of their alternatives that hold for the value."""
    found = set(numbers)
    for node in joins.in_place(numbers, conditional=False):
        members = [one for each in node.sums for one in each.members]
        members += [
            number
            for name, number in node.dependent_schemas
            if isinstance(value, dict) and name in value
        ]
        if node.condition is not None:
            asked, then, otherwise = node.condition
            holds = accepts(joins, joins.entry([asked]), value)
            members += [asked] if holds else []
            branch = then if holds else otherwise
            members += [] if branch is None else [branch]
        for one in members:
            if one not in found and accepts(joins, Key(frozenset({one})), value):
                found |= _applying(joins, frozenset({one}), value)
    return found


def _names_evaluated(joins: Joins, owner: int, rest: int, value: dict[str, Any]) -> bool:
    known = evaluated_names(joins, frozenset({owner}), value)
    return known is None or all(
        name in known or accepts(joins, joins.entry([rest]), one) for name, one in value.items()
    )


def _items_evaluated(joins: Joins, owner: int, rest: int, value: list[Any]) -> bool:
    length = 0
    inside: list[int] = []
    for node in joins.in_place(_applying(joins, frozenset({owner}), value), conditional=False):
        is_inner = node.unevaluated_items is not None and node.number != owner
        if node.items is not None or is_inner:
            return True
        length = max(length, len(node.prefix))
        inside += [] if node.contains is None else [node.contains[0]]
    return all(
        accepts(joins, joins.entry([rest]), one)
        or any(accepts(joins, joins.entry([n]), one) for n in inside)
        for one in value[length:]
    )
