"""A lineage graph as SVG: columns from left to right, each node a link, thicker lines for more.

Geometry is in attributes and colour in classes, as the content policy wants it. Nodes stand in the
document column by column, so that the tab key walks along the flow of events.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from analytics.lineage import Edge, Graph, Node, layers
from portal.http import words

_WIDTH, _HEIGHT = 172, 46
_STEP, _GAP = 234, 14
_TOP, _EDGE = 30, 4
_CHARS: Final = 23
_THICKEST: Final = 6


def lineage_svg(graph: Graph, title: str, urls: Mapping[str, str]) -> SafeString:
    """The graph with its title; `urls` are the addresses of nodes by key."""
    columns = layers(graph)
    tallest = max((len(column) for column in columns), default=0)
    height = _TOP + tallest * (_HEIGHT + _GAP)
    width = max(len(columns) - 1, 0) * _STEP + _WIDTH + 2 * _EDGE
    at = {
        node.key: (
            _EDGE + number * _STEP,
            _TOP + (tallest - len(column)) * (_HEIGHT + _GAP) / 2 + row * (_HEIGHT + _GAP),
        )
        for number, column in enumerate(columns)
        for row, node in enumerate(column)
    }
    # The thinnest first, so that what carries most is drawn last and on top.
    edges = sorted(graph.edges, key=lambda edge: (edge.events, edge.source, edge.target))
    return format_html(
        '<svg class="lineage graph" width="{}" height="{}" viewBox="0 0 {} {}" role="group"'
        ' aria-labelledby="lineage-title lineage-desc"><title id="lineage-title">{}</title>'
        '<desc id="lineage-desc">{}</desc>{}<g aria-hidden="true">{}</g>{}</svg>',
        width,
        height,
        width,
        height,
        title,
        f"{words.plural(len(graph.nodes), 'node')} and {words.plural(len(graph.edges), 'line')}, "
        "from senders on the left to readers on the right. The same stands below as a table.",
        _heads(columns, bool(graph.focus)),
        format_html_join("", "{}", ((_edge(edge, at),) for edge in edges)),
        format_html_join(
            "",
            "{}",
            (
                (_node(node, *at[node.key], urls[node.key], is_focus=node.key == graph.focus),)
                for column in columns
                for node in column
            ),
        ),
    )


def thickness(events: int) -> int:
    """How thick a line of so many events a day is, 0 to 6: one more for each power of ten."""
    return 0 if events <= 0 else min(_THICKEST, 1 + int(math.log10(events)))


def _heads(columns: Sequence[Sequence[Node]], has_focus: bool) -> SafeString:
    if not has_focus:
        return mark_safe("")
    return format_html_join(
        "",
        '<text class="col" x="{}" y="16">{}</text>',
        (
            (_EDGE + number * _STEP, _step_said(column[0].step or 0))
            for number, column in enumerate(columns)
            if column
        ),
    )


def _step_said(step: int) -> str:
    if step == 0:
        return "in focus"
    return f"{words.plural(abs(step), 'step')} {'back' if step < 0 else 'ahead'}"


def _edge(edge: Edge, at: Mapping[str, tuple[float, float]]) -> SafeString:
    (x1, y1), (x2, y2) = at[edge.source], at[edge.target]
    y1, y2 = y1 + _HEIGHT / 2, y2 + _HEIGHT / 2
    x1 += _WIDTH
    bend = max(abs(x2 - x1) * 0.5, 30)
    return format_html(
        '<path class="e w{}" d="M{} {} C{} {} {} {} {} {}"/><path class="ar" d="M{} {}l-6 -3v6z"/>',
        thickness(edge.events),
        *(f"{n:.0f}" for n in (x1, y1, x1 + bend, y1, x2 - bend, y2, x2 - 5, y2, x2, y2)),
    )


def _node(node: Node, x: float, y: float, url: str, *, is_focus: bool) -> SafeString:
    is_name = node.kind == "stream"
    css = "n" + (" st" if is_name else "") + (" here" if is_focus else "")
    shown = node.name.partition(".")[2] if is_name and len(node.name) > _CHARS else node.said
    return format_html(
        '<a class="{}" href="{}"><title>{}</title>'
        '<rect x="{}" y="{}" width="{}" height="{}" rx="7"/><text x="{}" y="{}">{}</text>'
        '<text class="k" x="{}" y="{}">{}</text></a>',
        css,
        url,
        f"{node.said}, {_detail(node)}",
        f"{x:.0f}",
        f"{y:.0f}",
        _WIDTH,
        _HEIGHT,
        f"{x + 12:.0f}",
        f"{y + 19:.0f}",
        _cut(shown),
        f"{x + 12:.0f}",
        f"{y + 36:.0f}",
        _cut(_detail(node), _CHARS + 4),
    )


def _detail(node: Node) -> str:
    flow = f"{words.number(node.events)} a day" if node.events else "nothing in 24 h"
    if node.kind in ("consumer", "service"):
        return node.detail or node.kind
    return f"{node.detail or node.kind} · {flow}"


def _cut(text: str, length: int = _CHARS) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
