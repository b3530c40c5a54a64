"""REST of lineage: who sends a stream, who reads it, and what lies beyond them."""

from typing import ClassVar, TypedDict

from rest_framework.request import Request
from rest_framework.response import Response

from analytics.lineage import Edge, Graph, Node
from analytics.selectors.lineage import MAX_DEPTH, lineage_of
from catalog.selectors.streams import get_stream
from governance.api.authentication import api_actor
from governance.api.base import ApiView
from portal.http import parameters
from portal.http.operations import operation


class NodeBody(TypedDict):
    """`step` is how far it lies from the stream, negative behind it; the stream itself has 0."""

    id: str
    kind: str
    name: str
    title: str
    step: int
    events_per_day: int


class EdgeBody(TypedDict):
    """`source` and `target` are ids of nodes. `events_per_day` came that way in the last 24 hours;
    to a reader all that the stream got."""

    source: str
    target: str
    events_per_day: int
    declared: bool
    seen: bool


class LineageBody(TypedDict):
    """Nodes from behind the stream to ahead of it; `left_out` counts those that did not fit."""

    stream: str
    depth: int
    nodes: list[NodeBody]
    edges: list[EdgeBody]
    left_out: int


def lineage_body(stream: str, depth: int, graph: Graph) -> LineageBody:
    nodes = sorted(graph.nodes.values(), key=lambda node: (node.step or 0, node.key))
    return {
        "stream": stream,
        "depth": depth,
        "nodes": [_node(node) for node in nodes],
        "edges": [_edge(edge) for edge in graph.edges],
        "left_out": graph.left_out,
    }


def _node(node: Node) -> NodeBody:
    return {
        "id": node.key,
        "kind": node.kind,
        "name": node.name,
        "title": node.said,
        "step": node.step or 0,
        "events_per_day": node.events,
    }


def _edge(edge: Edge) -> EdgeBody:
    return {
        "source": edge.source,
        "target": edge.target,
        "events_per_day": edge.events,
        "declared": edge.declared,
        "seen": edge.seen,
    }


class StreamLineage(ApiView):
    @operation(
        "Who sends a stream and who reads it, `depth` steps each way (1 unless asked), with what "
        "came in the last 24 hours. Negative steps lie behind the stream.",
        takes={"depth": parameters.integer(1, MAX_DEPTH)},
        gives=LineageBody,
    )
    def get(self, request: Request, name: str) -> Response:
        actor, depth = api_actor(request), self.asked.get("depth", 1)
        stream = get_stream(actor, name)
        graph = lineage_of(actor, stream, depth=depth)
        return Response(lineage_body(stream.name, depth, graph))
