"""Plotly figures as plain dictionaries. Colours are token names; the page's script resolves them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from analytics.selectors.volume import Point

_ROW: Final = 20
_NEAR: Final = 0.14
_TICKS: Final = 5


def volume_figure(
    points: Sequence[Point],
    *,
    expected: Sequence[tuple[float, float]] = (),
    marks: Sequence[tuple[datetime, str]] = (),
    unit: str,
    as_clock: bool = False,
) -> dict[str, Any]:
    """Events over time with the expected band (low, high per point) and labelled moments.

    The time axis shows clock times within a day, dates beyond; never a year, which the page knows.
    """
    marks = sorted(marks)
    rows = _rows_of(marks, points)
    times = [point.start.isoformat() for point in points]
    data: list[dict[str, Any]] = []
    if expected:
        low = {"x": times, "y": [band[0] for band in expected]}
        high = {"x": times, "y": [band[1] for band in expected]}
        quiet = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "type": "scatter"}
        data.append(low | quiet)
        data.append(
            high | quiet | {"fill": "tonexty", "fillcolor": "token:band", "name": "expected"}
        )
    data.append(
        {
            "type": "scatter",
            "mode": "lines",
            "x": times,
            "y": [point.events for point in points],
            "name": unit,
            "line": {"color": "token:s1", "width": 1.75, "shape": "linear"},
            "hovertemplate": "%{y:,} " + unit + "<extra></extra>",
        }
    )
    highest = max([point.events for point in points] + [high for _, high in expected], default=0)
    # There is no half an event; left to itself the axis of a few would count in halves.
    whole = {"dtick": 1} if highest <= _TICKS else {}
    axis = {"gridcolor": "token:line", "linecolor": "token:line-2", "zeroline": False}
    return {
        "data": data,
        "layout": {
            "margin": {"l": 56, "r": 12, "t": 20 + _ROW * max(rows, default=0), "b": 24},
            "xaxis": axis
            | {
                "showgrid": False,
                "fixedrange": True,
                "tickformat": "%H:%M" if as_clock else "%-d %b",
                "hoverformat": "%-d %b %H:%M",
            },
            "yaxis": axis
            | whole
            | {
                "rangemode": "tozero",
                "fixedrange": True,
                "nticks": _TICKS,
                "tickformat": "~s",
                "title": {"text": unit, "standoff": 8},
            },
            "shapes": [
                {
                    "type": "line",
                    "x0": at.isoformat(),
                    "x1": at.isoformat(),
                    "yref": "paper",
                    "y0": 0,
                    "y1": 1,
                    "line": {"color": "token:ink-3", "dash": "dot", "width": 1},
                }
                for at, _ in marks
            ],
            "annotations": [
                {
                    "x": at.isoformat(),
                    "y": 1,
                    "yref": "paper",
                    "text": label,
                    "showarrow": False,
                    "yanchor": "bottom",
                    "yshift": _ROW * row,
                    "bgcolor": "token:sheet",
                    "bordercolor": "token:line-2",
                    "font": {"color": "token:ink-2"},
                }
                for (at, label), row in zip(marks, rows, strict=True)
            ],
        },
    }


def _rows_of(marks: Sequence[tuple[datetime, str]], points: Sequence[Point]) -> list[int]:
    """The row of each label above the plot: those close to each other stand in rows of their own."""
    if len(points) < 2:
        return list(range(len(marks)))
    near = (points[-1].start - points[0].start) * _NEAR
    ends: list[datetime] = []
    rows = []
    for at, _ in marks:
        row = next((n for n, end in enumerate(ends) if at - end > near), len(ends))
        ends[row : row + 1] = [at]
        rows.append(row)
    return rows
