"""Where the writer's form of a document closes: decided once, statically, for proofs and for ingest.

Under `reader_writer` the portal sets aside what an event carries beyond the writer's form, so both
sides must mean the same by it. `ingest.judging.drift` splits events by this plan, the engine compares by it:

1. A **start** is the set of schemas that describe one value: the root; for a property or item all
   schemas that any schema in place there gives it, alternatives and conditions included.
2. A start closes when its author lists names (`properties` or `patternProperties`, empty ones too,
   in what certainly applies or in every alternative that takes objects): then only listed names,
   required ones and those that dependencies name may stand there. One that lists none is a
   free-form map and stays open; so does one whose author decided about other names himself
   (`additionalProperties`, `unevaluatedProperties`, `propertyNames`, a count of properties).
3. A start of several schemas closes only where all of them certainly apply, over all their names;
   where an alternative describes a value too, it stays open, as which one holds is not known.
4. Nothing closes where setting aside could change a verdict that looks at whole values: below
   `enum` and `const` of objects or arrays, `uniqueItems`.

By 2–4 no schema of the document judges otherwise when undeclared names are gone; a property test
looks for one that does.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from catalog.compatibility import dialects, texts
from catalog.compatibility.nodes import Node, View

if TYPE_CHECKING:
    from catalog.compatibility.joined import Joins

MAX_STARTS: Final = 10_000
_DEEP: Final = frozenset(
    [
        *dialects.SCHEMA_MAPS, *dialects.SCHEMA_LISTS, *dialects.SCHEMA_SINGLES,
        "$ref", "$recursiveRef", "$dynamicRef",
    ]
)  # fmt: skip
Group = frozenset[int]
NOBODY: Final[Group] = frozenset()


@dataclass(frozen=True, slots=True)
class Start:
    """What may stand at a closed start: names, and names by pattern."""

    names: frozenset[str]
    patterns: tuple[str, ...]

    def knows(self, name: str) -> bool:
        """Whether a name may stand there, by itself or by a pattern."""
        return name in self.names or any(texts.matches(one, name) for one in self.patterns)


@dataclass(frozen=True, slots=True)
class Below:
    """The starts within a value: by name, of other names, by place in an array and beyond.

    `others` is empty unless exactly one schema may describe a name that is not declared; it does
    so by `pattern`, or as the additional one.
    """

    names: dict[str, Group]
    others: Group
    pattern: str | None
    prefix: tuple[Group, ...]
    items: Group


class Plan:
    """The starts of a document in the writer's view; made whole, as one may rule out another."""

    def __init__(self, joins: "Joins", root: int) -> None:
        self.root: Group = frozenset({root})
        self.below: dict[Group, Below] = {}
        self._joins = joins
        self._closing: dict[Group, Start] = {}
        self._never: set[int] = set()
        self._by_number: dict[int, list[Group]] = {}
        self.is_whole = self._visit_all()
        if not self.is_whole:
            self._closing.clear()
        for group in list(self._closing):
            if group & self._never:
                del self._closing[group]
                continue
            for number in group:
                self._by_number.setdefault(number, []).append(group)

    def start(self, group: Group) -> Start | None:
        """How a start closes; None when it is open."""
        return self._closing.get(group)

    def starts_with(self, number: int) -> list[Start]:
        """The closed starts that a schema is part of."""
        return [self._closing[group] for group in self._by_number.get(number, ())]

    def _visit_all(self) -> bool:
        todo: list[tuple[Group, bool, bool]] = [(self.root, True, False)]
        seen: set[tuple[Group, bool]] = set()
        while todo:
            group, may_close, is_frozen = todo.pop()
            if not may_close or is_frozen:
                self._never |= group
            if (group, is_frozen) in seen:
                continue
            seen.add((group, is_frozen))
            if len(self.below) >= MAX_STARTS:
                return False
            todo += self._visit(group, is_frozen=is_frozen)
        return True

    def _visit(self, group: Group, *, is_frozen: bool) -> Iterator[tuple[Group, bool, bool]]:
        nodes = list(self._in_place(group))
        sure = {node.number for node in self._joins.in_place(group, conditional=False)}
        if self._lists(group, set()) and not any(self._decides(node) for node in nodes):
            self._closing.setdefault(group, _start(nodes))
        is_frozen = is_frozen or any(_holds_containers(node) for node in nodes)
        below = self.below[group] = self._below(nodes)
        for child in self._deeper({*below.names.values(), below.others}):
            yield child, self._may_close(child, nodes, sure), is_frozen
        is_frozen = is_frozen or any(node.unique for node in nodes)
        for child in self._deeper({*below.prefix, below.items}):
            yield child, self._may_close(child, nodes, sure), is_frozen
        if not below.others:
            for number in self._undeclared(nodes):
                yield frozenset({number}), False, True

    def _deeper(self, groups: Iterable[Group]) -> Iterator[Group]:
        """Those that speak of objects or arrays: a text or a number has no names to close."""
        raw_of = self._joins.nodes.raw_of
        for group in groups:
            if any(not _DEEP.isdisjoint(raw_of(number)) for number in group):
                yield group

    def _in_place(self, group: Iterable[int]) -> Iterator[Node]:
        """All schemas that have a say on the value, those of `not` too."""
        seen: set[int] = set()
        todo = list(group)
        while todo:
            for node in self._joins.in_place([todo.pop()], conditional=True):
                if node.number not in seen:
                    seen.add(node.number)
                    yield node
                    if node.negated is not None and node.negated not in seen:
                        todo.append(node.negated)

    def _lists(self, group: Iterable[int], seen: set[int]) -> bool:
        nodes = list(self._joins.in_place(group, conditional=False))
        if any(node.lists_names for node in nodes):
            return True
        for node in nodes:
            for each in node.sums:
                fresh = [one for one in each.members if one not in seen]
                objects = [one for one in fresh if self._takes_objects(one)]
                inner = seen | set(each.members)
                if objects and all(self._lists([one], inner) for one in objects):
                    return True
        return False

    def _takes_objects(self, number: int) -> bool:
        return all(
            node.kinds is None or "object" in node.kinds
            for node in self._joins.in_place([number], conditional=False)
        )

    def _decides(self, node: Node) -> bool:
        """Whether a schema rules about names that it does not list, or looks at whole objects."""
        rest = (node.additional, node.unevaluated_properties)
        return (
            any(one is not None and not self._is_blank(one) for one in rest)
            or node.names is not None
            or node.min_properties is not None
            or node.max_properties is not None
            or _holds_containers(node)
        )

    def _may_close(self, group: Group, nodes: list[Node], sure: set[int]) -> bool:
        """Whether the schemas of a value below certainly all apply, or there is but one."""
        view = self._joins.nodes.view_of
        if any(view(number) is not View.WRITER for number in group):
            return False
        return len(group) <= 1 or all(
            node.number in sure for node in nodes if not group.isdisjoint(_children(node))
        )

    def _below(self, nodes: list[Node]) -> Below:
        names = {name for node in nodes for name in _declared(node)}
        undeclared = self._undeclared(nodes)
        pattern = next((one for node in nodes for one in node.patterns), None)
        most = max((len(node.prefix) for node in nodes), default=0)
        return Below(
            names={name: self._of_name(nodes, name) for name in sorted(names)},
            others=frozenset(undeclared) if len(undeclared) == 1 else NOBODY,
            pattern=pattern,
            prefix=tuple(self._of_item(nodes, at) for at in range(most)),
            items=self._of_item(nodes, most),
        )

    def _undeclared(self, nodes: list[Node]) -> set[int]:
        """All schemas that may describe a name that is not declared."""
        found: set[int] = set()
        for node in nodes:
            found |= self._told([*node.patterns.values(), node.additional,
                                 node.unevaluated_properties])  # fmt: skip
        return found

    def _of_name(self, nodes: list[Node], name: str) -> Group:
        found: set[int] = set()
        for node in nodes:
            given = [node.properties[name]] if name in node.properties else []
            given += [one for p, one in node.patterns.items() if texts.matches(p, name)]
            found |= self._told(given or [node.additional])
            found |= self._told([node.unevaluated_properties])
        return frozenset(found)

    def _of_item(self, nodes: list[Node], at: int) -> Group:
        found: set[int] = set()
        for node in nodes:
            found |= self._told([node.prefix[at] if at < len(node.prefix) else node.items])
            found |= self._told([node.unevaluated_items])
            found |= self._told([node.contains[0] if node.contains is not None else None])
        return frozenset(found)

    def _told(self, numbers: Iterable[int | None]) -> set[int]:
        """Those whose answer depends on the value: not `false`, and not what takes anything."""
        return {
            one
            for one in numbers
            if one is not None and not self._joins.is_false(one) and not self._is_blank(one)
        }

    def _is_blank(self, number: int) -> bool:
        """Whether a schema says nothing: `true`, `{}`, annotations only."""
        nodes = self._joins.nodes
        known = dialects.KEYWORDS[nodes.document_of(number).draft]
        return known.isdisjoint(nodes.raw_of(number)) and not self._joins.is_false(number)


def _declared(node: Node) -> Iterator[str]:
    """The names that a schema speaks of, whether it describes their values or not."""
    yield from node.properties
    yield from node.required
    for name, others in node.dependent_required.items():
        yield name
        yield from others
    for name, _ in node.dependent_schemas:
        yield name


def _start(nodes: list[Node]) -> Start:
    return Start(
        frozenset(name for node in nodes for name in _declared(node)),
        tuple(dict.fromkeys(pattern for node in nodes for pattern in node.patterns)),
    )


def _children(node: Node) -> set[int]:
    several = (*node.properties.values(), *node.patterns.values(), *node.prefix)
    single = (node.additional, node.items, node.unevaluated_properties, node.unevaluated_items)
    return {*several, *(one for one in single if one is not None)}


def _holds_containers(node: Node) -> bool:
    """Whether whole objects or arrays are listed: `enum`, `const`."""
    return any(isinstance(value, dict | list) for value in node.values or ())
