"""Small pictures drawn on the server as SVG: geometry in attributes, colour from classes.

Strict CSP forbids inline styles, so every width and position that depends on data is an attribute.
"""

from collections.abc import Sequence
from typing import Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

SPARK_WIDTH: Final = 120
SPARK_HEIGHT: Final = 28
_PADDING: Final = 3
STRIP_WIDTH: Final = 160


def sparkline(values: Sequence[float | None], *, bad: bool = False) -> SafeString:
    """A line of values over their own range from zero; decoration beside a number."""
    known = [value or 0 for value in values]
    if len(known) < 2:
        return mark_safe("")
    top = max(known) or 1
    step = SPARK_WIDTH / (len(known) - 1)
    usable = SPARK_HEIGHT - 2 * _PADDING
    points = " ".join(
        f"{index * step:.1f} {SPARK_HEIGHT - _PADDING - value / top * usable:.1f}"
        for index, value in enumerate(known)
    )
    return format_html(
        '<svg class="spark{}" viewBox="0 0 {} {}" preserveAspectRatio="none" aria-hidden="true">'
        '<path class="a" d="M{} {} {} 0 {}Z"/><path class="l" d="M{}"/></svg>',
        " bad" if bad else "",
        SPARK_WIDTH,
        SPARK_HEIGHT,
        points,
        SPARK_WIDTH,
        SPARK_HEIGHT,
        SPARK_HEIGHT,
        points,
    )


def strip(states: Sequence[str], label: str) -> SafeString:
    """A calm strip: one bar a period. States: ok, warn, bad, none. Height and colour agree."""
    count = max(len(states), 1)
    step = STRIP_WIDTH / count
    heights = {"ok": 6, "warn": 12, "bad": 18, "none": 2}
    bars = format_html_join(
        "",
        '<rect class="{}" x="{}" y="{}" width="{}" height="{}" rx=".8"/>',
        (
            (state, f"{i * step:.1f}", 18 - heights[state], f"{step * 0.8:.1f}", heights[state])
            for i, state in enumerate(states)
        ),
    )
    return format_html(
        '<svg class="strip" viewBox="0 0 {} 18" preserveAspectRatio="none" role="img"'
        ' aria-label="{}">{}</svg>',
        STRIP_WIDTH,
        label,
        bars,
    )


def quality_grid(states: Sequence[str], label: str) -> SafeString:
    """Days of one check, oldest first: good days short, bad days tall."""
    width = max(len(states), 1) * 10
    heights = {"ok": 10, "warn": 12, "bad": 14, "none": 4}
    bars = format_html_join(
        "",
        '<rect class="{}" x="{}" y="{}" width="8" height="{}" rx="1.5"/>',
        ((s, i * 10 + 1, (14 - heights[s]) / 2, heights[s]) for i, s in enumerate(states)),
    )
    return format_html(
        '<svg class="qgrid" viewBox="0 0 {} 14" preserveAspectRatio="none" role="img"'
        ' aria-label="{}">{}</svg>',
        width,
        label,
        bars,
    )


def trust_pip(state: str, x: float = 0) -> SafeString:
    """One of the five pips at a place: fill, half fill, cross or dashes, never colour alone."""
    if state == "fine":
        return format_html(
            '<rect class="ok" x="{}" y="1" width="6" height="14" rx="1.8"/>', f"{x:g}"
        )
    if state == "care":
        return format_html(
            '<rect class="care-o" x="{}" y="1.6" width="4.8" height="12.8" rx="1.4"/>'
            '<rect class="care-f" x="{}" y="8" width="6" height="7" rx="1.8"/>',
            f"{x + 0.6:g}",
            f"{x:g}",
        )
    if state == "failing":
        return format_html(
            '<rect class="bad-o" x="{}" y="1.6" width="4.8" height="12.8" rx="1.4"/>'
            '<path class="bad-x" d="M{} 10.4 {} 5.6M{} 5.6 {} 10.4"/>',
            *(f"{x + offset:g}" for offset in (0.6, 1.6, 4.4, 1.6, 4.4)),
        )
    return format_html(
        '<rect class="unk" x="{}" y="1.6" width="4.8" height="12.8" rx="1.4"/>', f"{x + 0.6:g}"
    )


def gauge(ratio: float, label: str, kind: str = "s1", start: float = 0.0) -> SafeString:
    """One share of one whole, 0 to 1, never shown without its number beside it.

    With `start` (0 to 1) the share begins there: a span on an axis, a hairline wide at least.
    """
    begin = max(0.0, min(1.0, start)) * 100
    width = min(max(0.0, min(1.0, ratio)) * 100, 100 - begin)
    if start:
        width = max(width, 0.8)
        begin = min(begin, 100 - width)
    return format_html(
        '<svg class="gauge" viewBox="0 0 100 6" preserveAspectRatio="none" role="img"'
        ' aria-label="{}"><rect class="bg" width="100" height="6" rx="3"/>'
        '<rect class="{}"{} width="{}" height="6" rx="3"/></svg>',
        label,
        kind,
        format_html(' x="{}"', f"{begin:.1f}") if start else "",
        f"{width:.1f}",
    )
