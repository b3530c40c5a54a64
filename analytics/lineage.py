"""A lineage graph as values, and where its nodes stand: layers from left to right.

1. With a stream in focus a node's layer is its number of steps from it, behind or ahead.
2. Without one, edges that close a circle are turned round (depth first), a node stands right of all
   that leads to it (longest path), and what nothing leads to moves next to what it leads to.
3. Within a layer nodes are ordered by the mean place of their neighbours in the layer before, then
   in the one after, four times: neighbours stand near each other and lines cross less.

All of it is linear in nodes and edges but for the sorting.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

MAX_NODES: Final = 500
GROUPED_FROM: Final = 60
_SWEEPS: Final = 4


@dataclass(frozen=True, slots=True)
class Node:
    """A stream, a domain, or a party that sends or reads. `events` came in the last 24 hours.

    `step` is the distance from the stream in focus, negative where it lies behind it.
    """

    key: str
    kind: str  # stream, domain, producer, consumer, service
    name: str
    label: str = ""
    detail: str = ""
    events: int = 0
    step: int | None = None

    @property
    def said(self) -> str:
        """What people call it: its label, else its name."""
        return self.label or self.name


@dataclass(frozen=True, slots=True)
class Edge:
    """Events go from one node to another, so many in the last 24 hours.

    `seen`: they did; `declared`: somebody said that they do.
    """

    source: str
    target: str
    events: int = 0
    declared: bool = False
    seen: bool = False

    @property
    def how(self) -> str:
        """How it is known, in words."""
        if self.declared and self.seen:
            return "seen and declared"
        return "seen only" if self.seen else "declared"


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes by key and edges between them; `left_out` counts nodes that did not fit."""

    nodes: Mapping[str, Node] = field(default_factory=dict)
    edges: Sequence[Edge] = ()
    focus: str = ""
    left_out: int = 0

    def named(self, edge: Edge) -> tuple[Node, Node]:
        return self.nodes[edge.source], self.nodes[edge.target]


def bounded(graph: Graph, most: int = MAX_NODES) -> Graph:
    """At most so many nodes: the focus, then those with the most events, and edges among them."""
    if len(graph.nodes) <= most:
        return graph
    ranked = sorted(
        graph.nodes.values(),
        key=lambda node: (node.key != graph.focus, abs(node.step or 0), -node.events, node.key),
    )
    kept = {node.key: node for node in ranked[:most]}
    edges = [edge for edge in graph.edges if edge.source in kept and edge.target in kept]
    return Graph(kept, edges, graph.focus, graph.left_out + len(graph.nodes) - most)


def grouped(graph: Graph, domains: Mapping[str, str]) -> Graph:
    """The same with one node for the streams of each domain; `domains` by the key of a stream."""
    at = {key: f"domain:{domains[key]}" if key in domains else key for key in graph.nodes}
    members: dict[str, list[Node]] = defaultdict(list)
    for key, node in graph.nodes.items():
        members[at[key]].append(node)
    nodes = {
        key: Node(
            key,
            "domain",
            key.removeprefix("domain:"),
            detail="1 stream" if len(found) == 1 else f"{len(found)} streams",
            events=sum(node.events for node in found),
        )
        if key.startswith("domain:")
        else found[0]
        for key, found in members.items()
    }
    sums: dict[tuple[str, str], Edge] = {}
    for edge in graph.edges:
        ends = at[edge.source], at[edge.target]
        before = sums.get(ends, Edge(*ends))
        sums[ends] = Edge(
            *ends,
            events=before.events + edge.events,
            declared=before.declared or edge.declared,
            seen=before.seen or edge.seen,
        )
    return Graph(nodes, list(sums.values()), "", graph.left_out)


def layers(graph: Graph) -> list[list[Node]]:
    """The nodes in columns from left to right, each from top to bottom."""
    if not graph.nodes:
        return []
    places = (
        {key: node.step or 0 for key, node in graph.nodes.items()}
        if graph.focus
        else _longest_paths(graph)
    )
    first = min(places.values())
    columns: list[list[str]] = [[] for _ in range(max(places.values()) - first + 1)]
    for key in sorted(places, key=lambda key: (-graph.nodes[key].events, key)):
        columns[places[key] - first].append(key)
    _order(columns, graph.edges)
    return [[graph.nodes[key] for key in column] for column in columns]


def _longest_paths(graph: Graph) -> dict[str, int]:
    """The layer of each node: right of everything that leads to it."""
    ahead = _without_circles(graph)
    waiting = dict.fromkeys(graph.nodes, 0)
    for targets in ahead.values():
        for target in targets:
            waiting[target] += 1
    place = dict.fromkeys(graph.nodes, 0)
    sources = [key for key, count in waiting.items() if count == 0]
    ready = list(sources)
    while ready:
        key = ready.pop()
        for target in ahead[key]:
            place[target] = max(place[target], place[key] + 1)
            waiting[target] -= 1
            if waiting[target] == 0:
                ready.append(target)
    for key in sources:
        if ahead[key]:
            place[key] = min(place[target] for target in ahead[key]) - 1
    return place


def _without_circles(graph: Graph) -> dict[str, list[str]]:
    """The targets of each node; an edge that leads back to where a walk came from is left out."""
    targets: dict[str, list[str]] = {key: [] for key in graph.nodes}
    for edge in graph.edges:
        if edge.source != edge.target:
            targets[edge.source].append(edge.target)
    kept: dict[str, list[str]] = {key: [] for key in graph.nodes}
    state: dict[str, int] = {}  # 1: on the walk, 2: done
    for start in sorted(graph.nodes):
        if start in state:
            continue
        state[start] = 1
        walk = [(start, iter(targets[start]))]
        while walk:
            key, rest = walk[-1]
            target = next(rest, None)
            if target is None:
                state[key] = 2
                walk.pop()
            elif state.get(target) != 1:
                kept[key].append(target)
                if target not in state:
                    state[target] = 1
                    walk.append((target, iter(targets[target])))
    return kept


def _order(columns: list[list[str]], edges: Iterable[Edge]) -> None:
    """Sort each column by where the neighbours stand; in place."""
    near: dict[str, list[str]] = defaultdict(list)
    for edge in edges:
        near[edge.source].append(edge.target)
        near[edge.target].append(edge.source)
    for sweep in range(_SWEEPS):
        walk = range(1, len(columns)) if sweep % 2 == 0 else range(len(columns) - 2, -1, -1)
        for number in walk:
            before = columns[number - 1 if sweep % 2 == 0 else number + 1]
            height = max(len(before), 1)
            place = {key: (at + 0.5) / height for at, key in enumerate(before)}
            own = {key: at for at, key in enumerate(columns[number])}
            columns[number].sort(key=lambda key: _mean(near[key], place, own, key))


def _mean(
    neighbours: Sequence[str], place: Mapping[str, float], own: Mapping[str, int], key: str
) -> tuple[float, int]:
    found = [place[other] for other in neighbours if other in place]
    mine = (own[key] + 0.5) / max(len(own), 1)
    return (sum(found) / len(found) if found else mine), own[key]
