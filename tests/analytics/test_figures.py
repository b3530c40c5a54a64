"""Figures for the browser: what stands on the axes and where labels go."""

from datetime import UTC, datetime, timedelta

from analytics.figures import volume_figure
from analytics.selectors.volume import Point

ZERO = datetime(2026, 11, 3, tzinfo=UTC)
POINTS = [Point(ZERO + timedelta(hours=n), n) for n in range(240)]


def test_labels_near_each_other_stand_in_rows_of_their_own() -> None:
    marks = [(ZERO + timedelta(hours=h), f"v{h}") for h in (100, 0, 110, 105)]
    layout = volume_figure(POINTS, marks=marks, unit="events")["layout"]
    assert [(mark["text"], mark["yshift"]) for mark in layout["annotations"]] == [
        ("v0", 0),
        ("v100", 0),
        ("v105", 20),
        ("v110", 40),
    ]
    assert layout["margin"]["t"] == 60


def test_the_time_axis_names_clock_times_within_a_day_and_dates_beyond_and_no_year() -> None:
    formats = [
        volume_figure(POINTS, unit="events", as_clock=as_clock)["layout"]["xaxis"]["tickformat"]
        for as_clock in (True, False)
    ]
    assert formats == ["%H:%M", "%-d %b"]


def test_a_few_events_are_counted_in_whole_ones() -> None:
    few = [Point(ZERO + timedelta(hours=n), n % 3) for n in range(24)]
    assert volume_figure(few, unit="events")["layout"]["yaxis"]["dtick"] == 1
    assert volume_figure([], unit="events")["layout"]["yaxis"]["dtick"] == 1
    assert "dtick" not in volume_figure(POINTS, unit="events")["layout"]["yaxis"]
    expected = [(0.0, 40.0)] * len(few)
    assert "dtick" not in volume_figure(few, expected=expected, unit="events")["layout"]["yaxis"]
