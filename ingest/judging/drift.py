"""The writer form of a contract: what an event carries beyond it is set aside, not refused.

Under the policy `reader_writer` the portal promises readers the closed form of each schema. Where
that closes is decided by `catalog.compatibility.writer`, by which the engine compares versions too:
an object that lists `properties` is closed for writers unless its author decided about other names,
and what it does not list goes to the event's `extra`; an object that lists none is a free-form map
and keeps everything.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import jsonschema_rs

from catalog.compatibility import texts
from catalog.compatibility.budget import Budget, ExhaustedError
from catalog.compatibility.documents import read_document
from catalog.compatibility.joined import Joins
from catalog.compatibility.nodes import Nodes, View
from catalog.compatibility.writer import Group, Plan
from portal.kernel.errors import InvalidError
from portal.kernel.strict_json import pointer_part

_SECONDS: Final = 5.0  # to read one contract, once


@dataclass(slots=True)
class _Node:
    """What is known of one value: which names it may have, and the values below that matter."""

    names: frozenset[str] | None = None  # None: keeps everything
    patterns: tuple[str, ...] = ()
    children: dict[str, "_Node"] = field(default_factory=dict)
    declared: frozenset[str] = frozenset()
    others: "_Node | None" = None  # of a name that is not declared
    others_pattern: str | None = None
    prefix: tuple["_Node | None", ...] = ()
    items: "_Node | None" = None

    @property
    def below(self) -> "list[_Node]":
        found = [*self.children.values(), self.others, *self.prefix, self.items]
        return [one for one in found if one is not None]

    def is_known(self, name: str) -> bool:
        return (
            self.names is None
            or name in self.names
            or any(texts.matches(pattern, name) for pattern in self.patterns)
        )

    def child(self, name: str) -> "_Node | None":
        found = self.children.get(name)
        if found is None and self.others is not None and name not in self.declared:
            pattern = self.others_pattern
            return self.others if pattern is None or texts.matches(pattern, name) else None
        return found


class DriftPlan:
    """Splits data into its writer form and the rest; costs one set comparison an object."""

    __slots__ = ("_root", "is_closed_over")

    def __init__(self, root: _Node) -> None:
        self._root = root
        # Whether data carries nothing beyond the writer form; native code where that can say it.
        self.is_closed_over: Callable[[Any], bool] = _native_check(root) or self._keeps_all

    def _keeps_all(self, data: Any) -> bool:
        return not _drifts(data, self._root)

    def split(self, data: Any) -> tuple[Any, dict[str, Any] | None]:
        """The data without unknown properties, and those by JSON Pointer within `data`.

        Answers the same object and None when there are none; never changes what it is given.
        """
        if not _drifts(data, self._root):
            return data, None
        extra: dict[str, Any] = {}
        return _copy(data, self._root, "", extra), extra


def plan_of(document: Any) -> DriftPlan | None:
    """The plan of a schema; None when it sets nothing aside, or can't be compared at all."""
    try:
        read = read_document(document)
        joins = Joins(Nodes(), Budget(seconds=_SECONDS))
        plan = joins.plan_of(joins.nodes.number(read, "", View.WRITER))
    except (InvalidError, ExhaustedError, RecursionError):
        return None
    nodes = {group: _node_of(plan, group) for group in plan.below}
    mattering = _mattering(plan, nodes)
    for group in mattering:
        _link(plan, nodes, group, mattering)
    return DriftPlan(nodes[plan.root]) if plan.root in mattering else None


def _node_of(plan: Plan, group: Group) -> _Node:
    start = plan.start(group)
    return _Node() if start is None else _Node(start.names, start.patterns)


def _mattering(plan: Plan, nodes: dict[Group, _Node]) -> set[Group]:
    """The groups at or below which something can be set aside."""
    above: dict[Group, list[Group]] = {group: [] for group in nodes}
    for group, below in plan.below.items():
        for child in (*below.names.values(), below.others, *below.prefix, below.items):
            if child in above:
                above[child].append(group)
    found = {group for group, node in nodes.items() if node.names is not None}
    todo = list(found)
    while todo:
        for parent in above[todo.pop()]:
            if parent not in found:
                found.add(parent)
                todo.append(parent)
    return found


def _link(plan: Plan, nodes: dict[Group, _Node], group: Group, mattering: set[Group]) -> None:
    below, node = plan.below[group], nodes[group]

    def known(child: Group) -> _Node | None:
        return nodes[child] if child in mattering else None

    for name, child in below.names.items():
        found = known(child)
        if found is not None:
            node.children[name] = found
    node.declared = frozenset(below.names)
    node.others, node.others_pattern = known(below.others), below.pattern
    node.prefix = tuple(known(child) for child in below.prefix)
    node.items = known(below.items)


def _native_check(root: _Node) -> Callable[[Any], bool] | None:
    """The nodes as a schema of names alone; None where a node goes by patterns, which are ours."""
    definitions: dict[str, Any] = {}
    places = {id(root): "0"}
    todo = [root]
    while todo:
        node = todo.pop()
        if node.patterns or node.others_pattern is not None:
            return None
        for child in node.below:
            if id(child) not in places:
                places[id(child)] = str(len(places))
                todo.append(child)
        definitions[places[id(node)]] = _as_schema(node, places)
    return jsonschema_rs.validator_for({"$defs": definitions, "$ref": "#/$defs/0"}).is_valid


def _as_schema(node: _Node, places: dict[int, str]) -> dict[str, Any]:
    def of(child: _Node | None) -> Any:
        return True if child is None else {"$ref": f"#/$defs/{places[id(child)]}"}

    schema: dict[str, Any] = {
        "properties": {name: of(child) for name, child in node.children.items()}
    }
    if node.others is not None:
        schema["properties"] |= {name: True for name in node.declared if name not in node.children}
        schema["additionalProperties"] = of(node.others)
    if node.names is not None:
        schema["propertyNames"] = {"enum": sorted(node.names)}
    if node.prefix:
        schema["prefixItems"] = [of(child) for child in node.prefix]
    if node.items is not None:
        schema["items"] = of(node.items)
    return schema


def join(data: Any, extra: dict[str, Any]) -> Any:
    """Data with what was set aside put back in its places: as the event came. Changes `data`."""
    for pointer, value in extra.items():
        *steps, last = [
            step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]
        ]
        place = data
        for step in steps:
            place = place[int(step)] if isinstance(place, list) else place[step]
        place[last] = value
    return data


def _drifts(value: Any, node: _Node) -> bool:
    if isinstance(value, dict):
        names = node.names
        if (
            names is not None
            and not value.keys() <= names
            and not (node.patterns and all(node.is_known(name) for name in value))
        ):
            return True
        if node.others is None:
            return any(
                name in value and _drifts(value[name], child)
                for name, child in node.children.items()
            )
        return any(
            child is not None and _drifts(one, child)
            for name, one in value.items()
            for child in (node.child(name),)
        )
    if isinstance(value, list) and (node.items is not None or node.prefix):
        return any(
            child is not None and _drifts(one, child)
            for at, one in enumerate(value)
            for child in (_item(node, at),)
        )
    return False


def _item(node: _Node, at: int) -> _Node | None:
    return node.prefix[at] if at < len(node.prefix) else node.items


def _copy(value: Any, node: _Node, pointer: str, extra: dict[str, Any]) -> Any:
    if isinstance(value, dict):
        kept: dict[str, Any] = {}
        names = node.names
        for name, one in value.items():
            if not (names is None or name in names or node.is_known(name)):
                extra[f"{pointer}/{pointer_part(name)}"] = one
                continue
            child = node.child(name)
            if child is None:
                kept[name] = one
            else:
                kept[name] = _copy(one, child, f"{pointer}/{pointer_part(name)}", extra)
        return kept
    if isinstance(value, list):
        return [
            one if child is None else _copy(one, child, f"{pointer}/{at}", extra)
            for at, one in enumerate(value)
            for child in (_item(node, at),)
        ]
    return value
