"""Server-drawn SVG of an alarm: the measured line, its limit or expected band, and the crossing."""

import math
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from portal.http import words
from quality.stories import Point, Story

_HEIGHT: Final = 176
_TOP, _BOTTOM, _LEFT = 26, 150, 40
_LABEL_CHAR: Final = 6.6
_NEAR: Final = 40
Height = Callable[[float], float]
Place = Callable[[datetime], float]


def story_charts(story: Story, *, wide: int = 690) -> SafeString:
    """The chart in two widths; the style sheet shows the one that fits.

    `wide` is about the width of its panel on a large screen, so that its text has its size there.
    """
    return mark_safe(_chart(story, wide, "wide") + _chart(story, 320, "narrow"))  # noqa: S308


def story_said(story: Story) -> str:
    """The chart in one sentence."""
    known = [point.value for point in story.points if point.value is not None]
    most = max(known, default=0.0)
    name = story.alarm.stream.name
    if story.is_share:
        return (
            f"Share of {name} that broke the contract, at most {words.share(most)}; "
            f"goal {words.share(story.limit)}. The alarm opened {words.since(story.alarm.opened_at)}."
        )
    return (
        f"Events of {name} {story.unit}, at most {words.number(most)}, beside what was expected. "
        f"The alarm opened {words.since(story.alarm.opened_at)}."
    )


def _chart(story: Story, width: int, css: str) -> str:
    points = story.points
    if len(points) < 2:
        return ""
    right = width - 8
    start = points[0].at
    end = max(points[-1].at + story.step, story.alarm.opened_at)
    top = _top(story)

    def x(at: datetime) -> float:
        share = (at - start) / (end - start)
        return _LEFT + (right - _LEFT) * min(max(share, 0.0), 1.0)

    def y(value: float) -> float:
        return _BOTTOM - (_BOTTOM - _TOP) * min(value / top, 1.0)

    lines = _runs(points, story.step, x, y)
    parts = [_grid(story, top, right, y)]
    band = [
        (x(p.at + story.step / 2), y(p.low), y(p.high))
        for p in points
        if p.low is not None and p.high is not None
    ]
    if len(band) > 1:
        there = " ".join(f"{a:.1f} {high:.1f}" for a, _, high in band)
        back = " ".join(f"{a:.1f} {low:.1f}" for a, low, _ in reversed(band))
        parts.append(format_html('<path class="bandf" d="M{} L{}Z"/>', there, back))
    opened, closed = x(story.alarm.opened_at), x(story.alarm.closed_at or end)
    parts.append(
        format_html(
            '<rect class="taint" x="{}" y="{}" width="{}" height="{}"/>',
            f"{opened:.1f}",
            _TOP,
            f"{max(closed - opened, 1):.1f}",
            _BOTTOM - _TOP,
        )
    )
    if story.limit is not None:
        parts.append(
            format_html(
                '<line class="lim" x1="{}" x2="{}" y1="{}" y2="{}"/>'
                '<text x="{}" y="{}">goal {}</text>',
                _LEFT,
                right,
                f"{y(story.limit):.1f}",
                f"{y(story.limit):.1f}",
                _LEFT + 6,
                f"{y(story.limit) - 6:.1f}",
                words.share(story.limit),
            )
        )
    for line in lines:
        path = " ".join(f"{a:.1f} {b:.1f}" for a, b in line)
        area = f"M{path} L{line[-1][0]:.1f} {_BOTTOM} {line[0][0]:.1f} {_BOTTOM}Z"
        parts.append(format_html('<path class="a2" d="{}"/><path class="l2" d="M{}"/>', area, path))
    parts.append(_opening(story, opened, right, [place for line in lines for place in line]))
    parts.append(_times(start, end, x, width))
    return format_html(
        '<svg class="chart {}" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>',
        css, width, _HEIGHT, story_said(story), format_html_join("", "{}", ((p,) for p in parts)),
    )  # fmt: skip


def _runs(
    points: Sequence[Point], step: timedelta, x: Place, y: Height
) -> list[list[tuple[float, float]]]:
    """The line in pieces: where nothing came there is no share, so the line is broken there."""
    runs: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if point.value is None:
            runs.append([])
        else:
            runs[-1].append((x(point.at + step / 2), y(point.value)))
    return [run for run in runs if run]


def _top(story: Story) -> float:
    """What the axis reaches: all that was measured or expected, with room above."""
    values = [point.value for point in story.points if point.value is not None]
    values += [point.high for point in story.points if point.high is not None]
    most = max([*values, (story.limit or 0.0) * 2], default=1.0)
    return min(most * 1.1, 1.0) if story.is_share else max(most * 1.1, 1.0)


def _grid(story: Story, top: float, right: float, y: Height) -> SafeString:
    step = _step(top)
    ticks = [n * step for n in range(int(top / step) + 1)]
    return format_html_join(
        "",
        '<line class="ax" x1="{}" x2="{}" y1="{}" y2="{}"/>'
        '<text x="{}" y="{}" text-anchor="end">{}</text>',
        (
            (
                _LEFT, right, f"{y(tick):.0f}", f"{y(tick):.0f}", _LEFT - 8, f"{y(tick) + 4:.0f}",
                "0" if not tick else words.share(tick, 1) if story.is_share else words.number(tick),
            )
            for tick in ticks
        ),
    )  # fmt: skip


def _step(top: float) -> float:
    """A step of 1, 2 or 5 times a power of ten that parts an axis in two to five."""
    power = 10.0 ** math.floor(math.log10(top / 2))
    return max(factor * power for factor in (1, 2, 5) if factor * power <= top / 2)


def _opening(
    story: Story, opened: float, right: float, line: Sequence[tuple[float, float]]
) -> SafeString:
    """The dotted line where the alarm opened, its label, and a ring at the crossing."""
    label = f"alarm {words.since(story.alarm.opened_at)}"
    wide = len(label) * _LABEL_CHAR + 12
    left = min(max(opened - wide / 2, _LEFT), right - wide)
    crossing = min(line, key=lambda place: abs(place[0] - opened), default=(opened, _BOTTOM))
    if abs(crossing[0] - opened) > _NEAR:
        crossing = (opened, _BOTTOM)  # no measured step is near: the moment itself
    return format_html(
        '<line class="mark" x1="{0}" x2="{0}" y1="22" y2="{1}"/>'
        '<rect class="lab" x="{2}" y="2" width="{3}" height="20" rx="4"/>'
        '<text class="ttl" x="{4}" y="16" text-anchor="middle">{5}</text>'
        '<circle class="ring" cx="{6}" cy="{7}" r="3.5"/>',
        f"{opened:.1f}", _BOTTOM, f"{left:.1f}", f"{wide:.0f}", f"{left + wide / 2:.1f}", label,
        f"{crossing[0]:.1f}", f"{crossing[1]:.1f}",
    )  # fmt: skip


def _times(start: datetime, end: datetime, x: Place, width: int) -> SafeString:
    """Clock times below the axis, at most one a hundred pixels; days where the stretch is long."""
    span = end - start
    wanted = width // 100
    steps = [timedelta(hours=h) for h in (1, 2, 3, 6, 12, 24)]
    step = next((step for step in steps if span / step <= wanted), steps[-1])
    hours = int(step.total_seconds() // 3600)
    moment = start.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    moment += timedelta(hours=-moment.hour % hours)
    shown = []
    while moment <= end:
        at_midnight = moment.hour == 0 and span > timedelta(hours=20)
        shown.append((f"{x(moment):.0f}", words.day(moment) if at_midnight else f"{moment:%H:%M}"))
        moment += step
    return format_html_join(
        "", '<text x="{}" y="168" text-anchor="middle">{}</text>',
        ((place, text) for place, text in shown if _LEFT + 12 <= float(place) <= width - 24),
    )  # fmt: skip
