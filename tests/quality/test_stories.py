"""Why an alarm fired, as a line: what it spans, what it marks, and how it is drawn."""

import re
from datetime import timedelta

import pytest

from portal.kernel import clock
from quality.drawing import story_charts, story_said
from quality.models import Alarm, Baseline, Check
from quality.selectors.checks import checks_of_alarms
from quality.stories import story_of
from quality.verdicts import alarm_verdict, spoken
from tests.portal.conftest import account, alarm, refuse
from tests.support.factories import make_stream, make_team

pytestmark = pytest.mark.django_db


def test_the_line_of_a_share_begins_before_the_alarm_and_knows_its_goal() -> None:
    stream = make_stream()
    opened = alarm(stream)
    for minutes in range(7, 720, 5):
        account(stream, accepted=90, refused=10 if minutes < 140 else 0, minutes_ago=minutes)
    story = story_of(opened)
    assert story.is_share
    assert story.limit == 0.005
    assert story.points[0].at <= opened.opened_at - timedelta(hours=6)
    assert (story.points[0].value, story.points[-1].value) == (0.0, 0.1)
    assert "at most 10\u00a0%" in story_said(story)


def test_a_step_in_which_nothing_came_breaks_the_line_and_is_no_zero() -> None:
    stream = make_stream()
    opened = alarm(stream)
    for minutes in range(7, 480, 5):
        if not 60 < minutes < 100:
            account(stream, accepted=90, refused=10, minutes_ago=minutes)
    story = story_of(opened)
    assert None in [point.value for point in story.points]
    wide = str(story_charts(story)).split("</svg>")[0]
    assert wide.count('class="l2"') == 2


def test_counts_have_what_was_expected_beside_them() -> None:
    stream = make_stream()
    opened = alarm(stream, kind="volume")
    Baseline.objects.create(
        stream=stream, profile=[4.0] * 168, level=0.0, scale=0.1, hours=400,
        learned_at=clock.now(),
    )  # fmt: skip
    account(stream, accepted=5, minutes_ago=30)
    story = story_of(opened)
    assert not story.is_share
    assert all(p.low is not None and p.high is not None and p.low < p.high for p in story.points)
    assert 'class="bandf"' in story_charts(story)


def test_an_alarm_of_a_stream_without_any_account_is_drawn_without_a_fault() -> None:
    charts = str(story_charts(story_of(alarm(make_stream()))))
    assert "nan" not in charts
    assert charts.count("<svg") == 2


def test_the_opening_is_marked_inside_the_drawing() -> None:
    stream = make_stream()
    opened = alarm(stream)
    Alarm.objects.filter(pk=opened.pk).update(opened_at=clock.now() - timedelta(minutes=1))
    opened.refresh_from_db()
    account(stream, accepted=9, refused=1, minutes_ago=100)
    wide = str(story_charts(story_of(opened), wide=500)).split("</svg>")[0]
    places = [float(x) for x in re.findall(r'[xX]1?="(-?[\d.]+)"', wide)]
    assert all(0 <= place <= 500 for place in places)


def test_the_first_bad_event_is_that_of_the_cause_even_before_the_hour() -> None:
    stream, other = make_stream(team=make_team()), make_stream(team=make_team())
    opened = alarm(stream)
    first = refuse(stream, at=opened.opened_at - timedelta(hours=2))
    refuse(stream, at=opened.opened_at + timedelta(minutes=1))
    refuse(other, at=opened.opened_at - timedelta(hours=3))
    story = story_of(opened)
    assert story.first_bad is not None
    assert story.first_bad.id == first.id
    assert [mark.text for mark in story.marks] == [
        "First event refused for this cause",
        "Alarm opened",
        "Version 1 released",  # the stream was made just now
    ]
    say, because = alarm_verdict(opened, story)
    assert say == "n must be of type integer."
    assert "nothing is lost" in because


def test_a_check_is_said_of_this_moment_while_all_is_well() -> None:
    check = Check(kind="freshness", level=0, sentence="Last event <1 s ago; 0.0 were expected.")
    assert spoken(check, clock.now() - timedelta(minutes=9)) == (
        "Last event 9\u00a0min ago, within its rhythm."
    )
    late = Check(kind="freshness", level=2, sentence="Last event 3 h ago; 20.1 were expected.")
    assert spoken(late, clock.now()) == late.sentence


def test_each_alarm_is_paired_with_the_check_of_its_own_kind() -> None:
    stream = make_stream()
    validity = alarm(stream, said_now="Validity now.")
    volume = alarm(stream, said_now="Volume now.", kind="volume")
    orphan = alarm(make_stream())
    found = checks_of_alarms([validity, volume, orphan])
    assert {pk: check.sentence for pk, check in found.items()} == {
        validity.pk: "Validity now.",
        volume.pk: "Volume now.",
    }
