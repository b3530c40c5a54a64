"""Lineage: where events come from and who lives on them, drawn and as a table."""

from dataclasses import dataclass
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.safestring import SafeString
from django.views.decorators.http import require_GET

from analytics.lineage import Edge, Graph, Node
from analytics.lineage_drawing import lineage_svg
from analytics.selectors.lineage import (
    MAX_DEPTH,
    MAX_STREAMS,
    Scope,
    lineage_of,
    lineage_within,
    streams_in,
)
from catalog.models import Domain, Stream
from catalog.selectors.streams import get_stream
from governance.middleware import request_actor
from governance.models import Team
from portal.http import parameters, words
from portal.kernel.actor import Actor
from portal.kernel.errors import NotFoundError
from portal.views_stream import stream_frame

_CHOICES: Final = 500
_LINES: Final = 1_000
_QUERY: Final = {
    "stream": parameters.text(255),
    "focus": parameters.text(255),
    "domain": parameters.text(60),
    "team": parameters.text(60),
    "active": parameters.flag,
    "grouped": parameters.flag,
    "depth": parameters.integer(1, MAX_DEPTH),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the table: from whom to whom, how much, and how it is known."""

    source: Node
    target: Node
    edge: Edge
    source_url: str
    target_url: str


@require_GET
def lineage(request: HttpRequest) -> HttpResponse:
    """By stream with `stream` (or `focus`), else by domain and team."""
    actor = request_actor(request)
    asked = parameters.read(request.GET, _QUERY)
    depth = asked.get("depth", 1)
    name = asked.get("stream") or asked.get("focus")
    scope = Scope(asked.get("domain", ""), asked.get("team", ""), asked.get("active", False))
    domains = _domains(actor)
    context: dict[str, Any] = {
        "scope": scope,
        "depth": depth,
        "depths": range(1, MAX_DEPTH + 1),
        "domains": domains,
        "teams": Team.objects.filter(streams__in=streams_in(actor, Scope()))
        .distinct()
        .order_by("name")[:_CHOICES],
        "text": name or "",
        "grouped": asked.get("grouped"),
    }
    if name:
        stream = get_stream(actor, name)
        graph = lineage_of(actor, stream, depth=depth)
        context |= {"stream": stream, "said": said_of(stream, graph)} | picture(graph, stream.name)
    elif scope == Scope(active=scope.active) and _is_too_much(actor):
        context["asks"] = True
    else:
        _check(scope)
        graph = lineage_within(actor, scope, is_grouped=asked.get("grouped"))
        where = scope.domain or scope.team or "all domains"
        context |= {"said": said_within(graph, where)} | picture(graph, where)
    return render(request, "portal/lineage.html", context)


def _is_too_much(actor: Actor) -> bool:
    return streams_in(actor, Scope()).count() > MAX_STREAMS


def _check(scope: Scope) -> None:
    if scope.domain and not Domain.objects.filter(slug=scope.domain).exists():
        raise NotFoundError
    if scope.team and not Team.objects.filter(slug=scope.team).exists():
        raise NotFoundError


def _domains(actor: Actor) -> list[tuple[str, str]]:
    """Domains with streams the person may know of, as slug and name."""
    known = streams_in(actor, Scope()).order_by().values("domain")
    return list(
        Domain.objects.filter(pk__in=known).order_by("name").values_list("slug", "name")[:_CHOICES]
    )


@require_GET
def stream_lineage(request: HttpRequest, name: str) -> HttpResponse:
    """The lineage of a stream as a tab of its page."""
    actor, stream, frame = stream_frame(request, name, "lineage")
    asked = parameters.read(request.GET, {"depth": parameters.integer(1, MAX_DEPTH)})
    depth = asked.get("depth", 1)
    graph = lineage_of(actor, stream, depth=depth)
    return render(
        request,
        "catalog/stream_lineage.html",
        frame
        | {"depth": depth, "depths": range(1, MAX_DEPTH + 1), "said": said_of(stream, graph)}
        | picture(graph, stream.name),
    )


def picture(graph: Graph, about: str) -> dict[str, Any]:
    """What the drawing and the table of a graph are made of."""
    urls = {key: url_of(node) for key, node in graph.nodes.items()}
    drawn: SafeString | str = lineage_svg(graph, f"Lineage of {about}", urls) if graph.edges else ""
    lines = [
        Line(*graph.named(edge), edge, urls[edge.source], urls[edge.target])
        for edge in sorted(graph.edges, key=lambda edge: (-edge.events, edge.source, edge.target))
    ]
    return {
        "graph": graph,
        "drawn": drawn,
        "lines": lines[:_LINES],
        "unlisted": max(len(lines) - _LINES, 0),
        "is_grouped": any(node.kind == "domain" for node in graph.nodes.values()),
    }


def url_of(node: Node) -> str:
    """Where a node leads: a stream or domain into its own lineage, a party to its page."""
    if node.kind in ("stream", "domain"):
        return f"/lineage/?{node.kind}={node.name}"
    return f"/{'producers' if node.kind == 'producer' else 'consumers'}/{node.name}/"


def said_of(stream: Stream, graph: Graph) -> str:
    """The next step each way in a sentence."""
    me = f"stream:{stream.name}"
    senders = sum(edge.target == me for edge in graph.edges)
    readers = sum(edge.source == me for edge in graph.edges)
    sent = words.counted(senders, "producer") if senders else "nobody by name"
    return f"{stream.name} comes from {sent} and feeds {words.counted(readers, 'consumer')}."


def said_within(graph: Graph, where: str) -> str:
    """`Three streams of checkout, with two senders or readers.`"""
    kinds = [node.kind for node in graph.nodes.values()]
    streams = kinds.count("stream")
    counted = (
        words.counted(streams, "stream")
        if streams
        else words.counted(kinds.count("domain"), "domain")
    )
    parties = len(kinds) - streams - kinds.count("domain")
    return words.capitalized(
        f"{counted} of {where}, with {words.counted(parties, 'sender or reader', 'senders and readers')}."
    )
