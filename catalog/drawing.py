"""Server-drawn SVG of a stream's lineage, one step each way: who sends it and who reads it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from portal.http import words

SHOWN: Final = 3
_WIDTH: Final = 312
_NODE_HEIGHT, _GAP = 38, 13
_LEFT, _SIDE_WIDTH = 1, 101
_HERE_LEFT, _HERE_WIDTH = 121, 74
_RIGHT: Final = _WIDTH - _SIDE_WIDTH - 1
_CHARS: Final = 13


@dataclass(frozen=True, slots=True)
class Node:
    """One neighbour: its name, a second line, and its page."""

    name: str
    detail: str
    url: str


def lineage(
    name: str, senders: Sequence[Node], readers: Sequence[Node], more_url: str
) -> SafeString:
    """A stream between its senders and its readers; of more than three the rest is folded."""
    left, right = _fold(senders, more_url), _fold(readers, more_url)
    rows = max(len(left), len(right), 1)
    height = rows * _NODE_HEIGHT + (rows - 1) * _GAP + 4
    middle = height / 2
    edges = [(_LEFT + _SIDE_WIDTH, y, _HERE_LEFT, middle) for y in _places(len(left), height)]
    edges += [(_HERE_LEFT + _HERE_WIDTH, middle, _RIGHT, y) for y in _places(len(right), height)]
    nodes = [(_LEFT, y, node) for y, node in zip(_places(len(left), height), left, strict=True)]
    nodes += [(_RIGHT, y, node) for y, node in zip(_places(len(right), height), right, strict=True)]
    return format_html(
        '<svg class="lineage" viewBox="0 0 {} {}" role="group" aria-label="{}">{}{}{}</svg>',
        _WIDTH,
        f"{height:.0f}",
        said(name, senders, readers),
        format_html_join("", "{}", ((_edge(*edge),) for edge in edges)),
        format_html_join("", "{}", ((_node(*node),) for node in nodes)),
        _here(name, middle),
    )


def said(name: str, senders: Sequence[Node], readers: Sequence[Node]) -> str:
    """The lineage in a sentence."""
    sent = words.listed([node.name for node in senders[:SHOWN]]) or "nobody by name"
    read = words.counted(len(readers), "consumer")
    return f"{name} comes from {sent} and feeds {read}."


def _fold(nodes: Sequence[Node], more_url: str) -> list[Node]:
    if len(nodes) <= SHOWN + 1:
        return list(nodes)
    return [*nodes[:SHOWN], Node(f"{len(nodes) - SHOWN} more…", "", more_url)]


def _places(count: int, height: float) -> list[float]:
    """The middles of so many nodes, spread evenly over the height."""
    block = count * _NODE_HEIGHT + (count - 1) * _GAP
    top = (height - block) / 2
    return [top + n * (_NODE_HEIGHT + _GAP) + _NODE_HEIGHT / 2 for n in range(count)]


def _edge(x1: float, y1: float, x2: float, y2: float) -> SafeString:
    bend = (x2 - x1) * 0.55
    return format_html(
        '<path class="e" d="M{} {} C{} {} {} {} {} {}"/><path class="ar" d="M{} {}l-5 -3v6z"/>',
        f"{x1:.0f}",
        f"{y1:.0f}",
        f"{x1 + bend:.0f}",
        f"{y1:.0f}",
        f"{x2 - bend:.0f}",
        f"{y2:.0f}",
        f"{x2 - 4:.0f}",
        f"{y2:.0f}",
        f"{x2:.0f}",
        f"{y2:.0f}",
    )


def _node(x: float, y: float, node: Node) -> SafeString:
    is_fold = not node.detail
    return format_html(
        '<a href="{}" class="n{}"><title>{}</title>'
        '<rect x="{}" y="{}" width="{}" height="{}" rx="7"/><text x="{}" y="{}">{}</text>{}</a>',
        node.url,
        " fold" if is_fold else "",
        f"{node.name}, {node.detail}" if node.detail else node.name,
        f"{x:.0f}",
        f"{y - _NODE_HEIGHT / 2:.0f}",
        _SIDE_WIDTH,
        _NODE_HEIGHT,
        f"{x + 9:.0f}",
        f"{y + 4 if is_fold else y - 4:.0f}",
        _cut(node.name),
        ""
        if is_fold
        else format_html(
            '<text class="k" x="{}" y="{}">{}</text>',
            f"{x + 9:.0f}",
            f"{y + 12:.0f}",
            _cut(node.detail),
        ),
    )


def _here(name: str, middle: float) -> SafeString:
    """The stream itself: its last part, broken after underscores into at most three lines."""
    lines = _lines(name.rpartition(".")[2])
    height = max(_NODE_HEIGHT, 14 + 16 * len(lines))
    first = middle - 8 * (len(lines) - 1) + 4
    texts = format_html_join(
        "",
        '<text x="{}" y="{}">{}</text>',
        ((_HERE_LEFT + 9, f"{first + 16 * n:.0f}", line) for n, line in enumerate(lines)),
    )
    return format_html(
        '<g class="n st here"><rect x="{}" y="{}" width="{}" height="{}" rx="7"/>{}</g>',
        _HERE_LEFT,
        f"{middle - height / 2:.0f}",
        _HERE_WIDTH,
        f"{height:.0f}",
        texts,
    )


def _lines(text: str) -> list[str]:
    lines = [""]
    for part in text.replace("_", "_\0").split("\0"):
        if lines[-1] and len(lines[-1]) + len(part) > _CHARS - 3:
            lines.append("")
        lines[-1] += part
    return [_cut(line, _CHARS - 2) for line in lines[:3]]


def _cut(text: str, length: int = _CHARS) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
