"""What the page of an experiment says: a reading and its bar must not contradict each other."""

from typing import Any

import pytest
from django.test import Client

from experiments import drawing, pages
from experiments.services.experiments import NewMeasure
from experiments.types import Role
from tests.experiments.conftest import Lab, make_experiment, make_metric
from tests.support.factories import make_person

ARMS = [pages.Arm("a", "A", "A", "", 0, None), pages.Arm("b", "B", "B", "", 0, None)]


def result(role: str, lower: float, upper: float, reading: str, **fields: Any) -> dict[str, Any]:
    """One metric of a snapshot, with one treatment whose lift has these bounds."""
    line = {
        "variant": "b",
        "estimate": 0.12,
        "reading": reading,
        "lift": {"status": "ok", "estimate": (lower + upper) / 2, "lower": lower, "upper": upper},
        "difference": {"estimate": 0.0, "lower": 0.0, "upper": 0.0},
    }
    return {
        "metric": "m", "name": "Revenue", "role": role, "type": "mean", "better": "higher",
        "unit": "EUR", "unit_scale": 1, "margin": None, "margin_kind": None, "null_share": None,
        "capped": 0, "control": {"estimate": 0.1}, "comparisons": [line],
    } | fields  # fmt: skip


def line_of(made: dict[str, Any]) -> pages.Line:
    return pages.groups_of([made], ARMS)[0].metrics[0].lines[0]


def test_better_of_one_look_is_exploratory_and_not_green_while_the_bar_holds_zero() -> None:
    line = line_of(result("secondary", -0.17, 0.79, "better"))
    assert (line.reading, line.note, line.badge) == ("Better", "exploratory", "line")
    assert 'class="bar neu"' in line.interval
    assert "pos" not in line.interval


def test_an_exploratory_reading_is_green_once_the_bar_itself_clears_zero() -> None:
    line = line_of(result("secondary", 0.02, 0.3, "better"))
    assert (line.reading, line.note, line.badge) == ("Better", "exploratory", "ok")
    assert 'class="bar pos"' in line.interval


@pytest.mark.parametrize(
    ("lower", "upper", "better", "side"),
    [
        (0.01, 0.2, "higher", "better"),
        (-0.2, -0.01, "higher", "worse"),
        (-0.2, -0.01, "lower", "better"),
        (-0.2, 0.1, "lower", ""),
        (0.0, 0.1, "higher", ""),
    ],
)
def test_the_colour_of_a_bar_is_what_the_bar_shows(
    lower: float, upper: float, better: str, side: str
) -> None:
    made = result("primary", lower, upper, "not_yet", better=better)
    lift = made["comparisons"][0]["lift"]
    assert pages.clears_zero(made, lift) == side
    css = {"better": "pos", "worse": "wrn", "": "neu"}[side]
    assert f'class="bar {css}"' in line_of(made).interval


def test_a_primary_reading_carries_no_mark_of_exploration() -> None:
    assert line_of(result("primary", 0.01, 0.2, "better")).note == ""


def test_a_guardrails_bar_is_amber_by_its_state() -> None:
    made = result("guardrail", -0.1, 0.3, "inconclusive", margin=0.2, margin_kind="relative")
    assert 'class="bar wrn"' in line_of(made).interval
    made = result("guardrail", 0.01, 0.1, "pass", margin=0.2, margin_kind="relative")
    assert 'class="bar neu"' in line_of(made).interval


@pytest.mark.parametrize(
    ("reading", "days", "first", "marks"),
    [
        (1.0, 14.0, 0, [1, 4, 7, 10, 14]),
        (8.0, 14.0, 7, [7, 8, 9, 10, 11, 12, 13, 14]),
        (7.4, 14.0, 7, [7, 8, 9, 10, 11, 12, 13, 14]),
        (0.2, 1.0, 0, [1]),
        (3.0, 90.0, 0, [1, 19, 37, 55, 73, 90]),
    ],
)
def test_the_axis_of_days_begins_where_the_first_reading_can_be(
    reading: float, days: float, first: int, marks: list[int]
) -> None:
    assert drawing.first_day(reading, days) == first
    found = drawing.day_marks(first, days)
    assert found == marks
    assert found[-1] == round(days)


def test_the_first_points_stand_at_the_left_and_inside_the_chart() -> None:
    points = [drawing.DayPoint(day, 0.1, -0.1, 0.3) for day in (8.0, 9.0, 10.3)]
    chart = str(
        drawing.day_chart(
            [drawing.DayLine("B", 1, points)], planned_days=14, label="x", width=690, css="wide"
        )
    )
    path = chart.split('<path class="l1" d="M')[1].split('"', maxsplit=1)[0]
    first = float(path.split(" ")[0])
    assert 48 < first < 48 + (594 - 48) / 4
    assert "planned" in chart


@pytest.mark.django_db
def test_the_page_says_what_is_exploratory_only_where_something_is(lab: Lab) -> None:
    measures = [
        NewMeasure(make_metric(lab), Role.PRIMARY),
        NewMeasure(make_metric(lab, "orders", type="count"), Role.SECONDARY),
    ]
    for key, chosen in (("with_it", measures), ("without", measures[:1])):
        experiment = make_experiment(lab, *chosen, key=key)
        units = lab.units(experiment, 300)
        for arm in units.values():
            lab.expose_all(experiment, arm, lab.at(days=1))
            for unit in arm[:60]:
                lab.order(unit, lab.at(days=1, hours=2))
        lab.reach(lab.at(days=3, hours=1))
        lab.analyse(experiment)
    client = Client()
    client.force_login(make_person())
    with_it, without = (
        client.get(f"/experiments/{key}/").content.decode() for key in ("with_it", "without")
    )
    assert "Secondary readings are judged at this look alone" in with_it
    assert "Secondary readings" not in without
    listed = client.get("/experiments/").content.decode()
    assert "Two experiments run." in listed
    assert listed.count('class="ci"') == 2
    assert "plausibly" in listed
