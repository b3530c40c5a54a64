"""Server-drawn SVG of an experiment: intervals on one axis, and the effect day by day.

Geometry stands in attributes, colour in classes, so that a strict policy allows it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

WIDTH: Final = 200
_ROW: Final = 28
_GLYPH_WIDTH: Final = 120
_CHART_HEIGHT: Final = 220
_TOP, _BOTTOM, _LEFT = 12, 194, 48


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis for all rows, in shares: 0.02 is a lift of 2 %."""

    low: float
    high: float
    step: float

    def x(self, value: float) -> float:
        """The place of a value from 0 to WIDTH; what lies beyond the axis stands at its end."""
        clipped = min(max(value, self.low), self.high)
        return WIDTH * (clipped - self.low) / (self.high - self.low)

    @property
    def ticks(self) -> list[float]:
        return ticks(self.low, self.high, self.step)


def axis_over(values: Sequence[float]) -> Axis:
    """An axis that holds 0 and the values, with four to seven round ticks; at most ±100 %."""
    low = max(min([*values, -0.01]), -1.0)
    high = min(max([*values, 0.01]), 1.0)
    pad = (high - low) * 0.06
    step = nice_step(high - low + 2 * pad, 5)
    return Axis(low - pad, high + pad, step)


def nice_step(span: float, wanted: int) -> float:
    """A step of 1, 2 or 5 times a power of ten that parts a span into about `wanted` pieces."""
    raw = span / wanted
    power: float = 10.0 ** math.floor(math.log10(raw))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)


def ticks(low: float, high: float, step: float) -> list[float]:
    """The multiples of a step within two bounds."""
    return [number * step for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def percent(value: float, digits: int = 0) -> str:
    """A signed share in percent with a real minus; zero has no sign."""
    text = f"{abs(value) * 100:.{digits}f}"
    if float(text) == 0:
        return text
    return f"{'+' if value > 0 else '−'}{text}"


def step_digits(step: float) -> int:
    """How many digits after the point a tick of this step needs, in percent."""
    return max(0, -math.floor(math.log10(step * 100) + 1e-9))


def axis_head(axis: Axis) -> SafeString:
    """The numbers above the column of intervals."""
    digits = step_digits(axis.step)
    shown = [tick for tick in axis.ticks if 12 <= axis.x(tick) <= WIDTH - 12]
    labels = [percent(tick, digits) for tick in shown]
    if labels:
        labels[-1] += " %"
    return format_html(
        '<svg class="iv axis" viewBox="0 0 {} 16" aria-hidden="true">{}</svg>',
        WIDTH,
        format_html_join(
            "",
            '<text x="{}" y="12" text-anchor="middle">{}</text>',
            ((f"{axis.x(tick):.0f}", label) for tick, label in zip(shown, labels, strict=True)),
        ),
    )


def interval_row(
    axis: Axis,
    *,
    estimate: float | None,
    lower: float | None,
    upper: float | None,
    css: str,
    label: str,
    limit: float | None = None,
    worse_above: bool = False,
) -> SafeString:
    """One interval as a bar with its estimate as a tick; beyond `limit` lies a shaded side.

    Without an interval only axis and shade are drawn.
    """
    grid = format_html_join(
        "",
        '<line class="tk" x1="{0}" x2="{0}" y1="0" y2="28"/>',
        ((f"{axis.x(tick):.1f}",) for tick in axis.ticks if abs(tick) > axis.step / 2),
    )
    zone: SafeString | str = ""
    if limit is not None:
        edge = axis.x(limit)
        left, width = (edge, WIDTH - edge) if worse_above else (0.0, edge)
        zone = format_html(
            '<rect class="zone" x="{}" y="0" width="{}" height="28"/>'
            '<line class="lim" x1="{}" x2="{}" y1="0" y2="28"/>',
            f"{left:.1f}",
            f"{max(width, 0):.1f}",
            f"{edge:.1f}",
            f"{edge:.1f}",
        )
    bar: SafeString | str = ""
    if estimate is not None and lower is not None and upper is not None:
        left, right = axis.x(lower), axis.x(upper)
        bar = format_html(
            '<rect class="bar {}" x="{}" y="9" width="{}" height="10" rx="3"/>'
            '<rect class="pt {}" x="{}" y="5" width="3" height="18" rx="1.5"/>',
            css,
            f"{left:.1f}",
            f"{max(right - left, 1):.1f}",
            css,
            f"{axis.x(estimate) - 1.5:.1f}",
        )
    return format_html(
        '<svg class="iv" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}'
        '<line class="z" x1="{}" x2="{}" y1="0" y2="28"/>{}</svg>',
        WIDTH,
        _ROW,
        label,
        grid,
        zone,
        f"{axis.x(0):.1f}",
        f"{axis.x(0):.1f}",
        bar,
    )


def glyph(estimate: float, lower: float, upper: float, css: str, label: str) -> SafeString:
    """An interval around zero without numbers: beside its sentence, in lists."""
    reach = max(abs(lower), abs(upper), 0.01)

    def x(value: float) -> float:
        return _GLYPH_WIDTH / 2 + value / reach * (_GLYPH_WIDTH / 2 - 8)

    return format_html(
        '<svg class="ci" viewBox="0 0 {} 20" role="img" aria-label="{}">'
        '<line class="z" x1="{}" x2="{}" y1="1" y2="19"/>'
        '<rect class="{}" x="{}" y="7" width="{}" height="6" rx="3"/>'
        '<circle class="{} d" cx="{}" cy="10" r="3.6"/></svg>',
        _GLYPH_WIDTH,
        label,
        _GLYPH_WIDTH // 2,
        _GLYPH_WIDTH // 2,
        css,
        f"{x(lower):.1f}",
        f"{max(x(upper) - x(lower), 1):.1f}",
        css,
        f"{x(estimate):.1f}",
    )


@dataclass(frozen=True, slots=True)
class DayPoint:
    """An arm's effect at the end of a day since the start; days may be fractions."""

    day: float
    estimate: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class DayLine:
    """One arm over time: its letter and the number of its colour."""

    letter: str
    colour: int
    points: Sequence[DayPoint]


def day_chart(
    lines: Sequence[DayLine], *, planned_days: int, label: str, width: int, css: str
) -> SafeString:
    """The effect of each arm day by day, with the interval of the first one as a band.

    The days run from the start of the experiment to its planned end; where the first reading comes
    late (a metric with a long window), they begin the day before it.
    """
    right = width - (96 if width > 500 else 62)
    moments = [point.day for line in lines for point in line.points]
    days = max(float(planned_days), *moments, 1.0)
    first = first_day(min(moments, default=0.0), days)
    low, high = _bounds(lines)
    step = nice_step(high - low, 4)

    def x(day: float) -> float:
        return _LEFT + (right - _LEFT) * (day - first) / (days - first)

    def y(value: float) -> float:
        return _BOTTOM - (_BOTTOM - _TOP) * (min(max(value, low), high) - low) / (high - low)

    grid = format_html_join(
        "",
        '<line class="{}" x1="{}" x2="{}" y1="{}" y2="{}"/>'
        '<text x="{}" y="{}" text-anchor="end">{}</text>',
        (
            (
                "zero" if abs(tick) < step / 2 else "ax",
                _LEFT, right, f"{y(tick):.0f}", f"{y(tick):.0f}",
                _LEFT - 8, f"{y(tick) + 4:.0f}",
                "0" if abs(tick) < step / 2 else f"{percent(tick, step_digits(step))} %",
            )
            for tick in ticks(low, high, step)
        ),
    )  # fmt: skip
    ahead = lines[0].points
    band: SafeString | str = ""
    if len(ahead) > 1:
        upper = " ".join(f"{x(p.day):.1f} {y(p.upper):.1f}" for p in ahead)
        lower = " ".join(f"{x(p.day):.1f} {y(p.lower):.1f}" for p in reversed(ahead))
        band = format_html('<path class="a{}" d="M{} L{}Z"/>', lines[0].colour, upper, lower)
    paths = format_html_join(
        "",
        '<path class="l{0}" d="M{1}"/><circle class="dot{0}" cx="{2}" cy="{3}" r="3.5"/>',
        (
            (
                line.colour,
                " ".join(f"{x(p.day):.1f} {y(p.estimate):.1f}" for p in line.points),
                f"{x(line.points[-1].day):.1f}",
                f"{y(line.points[-1].estimate):.1f}",
            )
            for line in lines
            if line.points
        ),
    )
    names = format_html_join(
        "",
        '<text class="{}" x="{}" y="{}">{}</text>',
        (
            (
                "strong" if place == 0 else "ttl",
                f"{x(line.points[-1].day) + 9:.0f}",
                f"{label_y:.0f}",
                f"{line.letter} {percent(line.points[-1].estimate, 1)} %"
                if width > 500
                else line.letter,
            )
            for place, (line, label_y) in enumerate(_label_places(lines, y))
        ),
    )
    below = format_html_join(
        "",
        '<text x="{}" y="214" text-anchor="middle">{}</text>',
        (
            (f"{x(day):.0f}", f"day {day}" if place == 0 else day)
            for place, day in enumerate(day_marks(first, days))
        ),
    )
    end = format_html(
        '<line class="mark" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>', f"{right:.0f}", _TOP, _BOTTOM
    )
    if width > 500:
        end += format_html(
            '<text x="{0}" y="{1}">planned</text><text x="{0}" y="{2}">end</text>',
            right + 8, _TOP + 10, _TOP + 26,
        )  # fmt: skip
    return format_html(
        '<svg class="chart {}" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}{}{}{}{}</svg>',
        css,
        width,
        _CHART_HEIGHT,
        label,
        grid,
        band,
        paths,
        names,
        end,
        below,
    )


def first_day(first_reading: float, days: float) -> int:
    """Where the axis of days begins: 0, or the day before a reading that came late."""
    return 0 if first_reading <= days / 4 else math.ceil(first_reading) - 1


def day_marks(first: int, days: float) -> list[int]:
    """Whole days to write below the axis, about five, the last one among them."""
    last = round(days)
    step = max(1, round((last - first) / 5))
    marks = list(range(max(first, 1), last + 1, step))
    if marks[-1] != last:
        marks = [day for day in marks if last - day >= step / 2] + [last]
    return marks


def _bounds(lines: Sequence[DayLine]) -> tuple[float, float]:
    """What the chart spans: every estimate, and the newest intervals twice over."""
    values = [0.0]
    for line in lines:
        values += [point.estimate for point in line.points]
        if line.points:
            newest = line.points[-1]
            values += [2 * newest.lower - newest.estimate, 2 * newest.upper - newest.estimate]
    low, high = max(min(values), -1.0), min(max(values), 1.0)
    if high - low < 0.002:
        low, high = low - 0.01, high + 0.01
    return low, high


def _label_places(
    lines: Sequence[DayLine], y: Callable[[float], float]
) -> list[tuple[DayLine, float]]:
    """Where the names at the lines' ends stand, moved apart so that they do not overlap."""
    shown = [(line, y(line.points[-1].estimate) + 4) for line in lines if line.points]
    taken: list[float] = []
    places = []
    for line, wanted in shown:
        free = wanted
        while any(abs(free - other) < 15 for other in taken):
            free += 15
        taken.append(free)
        places.append((line, free))
    return places
