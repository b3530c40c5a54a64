"""How ingest is doing, hour by hour, and dead letters by cause."""

from datetime import timedelta

import pytest

from catalog.services.producers import create_producer
from ingest.selectors import dead_letters, health
from portal.kernel import clock
from portal.kernel.actor import SYSTEM
from tests.portal.conftest import account, refuse
from tests.support.factories import make_actor, make_stream, make_team

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_kept_figures(settings: object) -> None:
    dummy = {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}
    settings.CACHES = {"default": dummy, "soft": dummy}  # type: ignore[attr-defined]  # pytest-django's fixture


def test_a_strip_is_the_last_24_hours_and_each_bar_one_of_them() -> None:
    stream, other = make_stream(), make_stream()
    account(stream, accepted=10, minutes_ago=0)
    account(stream, accepted=999, refused=1, minutes_ago=90)
    account(stream, accepted=99, refused=1, minutes_ago=150)
    account(stream, accepted=9, refused=1, minutes_ago=23 * 60)
    account(stream, accepted=9, refused=9, minutes_ago=25 * 60)
    found = health.strips([stream.pk, other.pk])
    assert found[stream.pk] == ["bad", *["none"] * 20, "warn", "ok", "ok"]
    assert found[other.pk] == ["none"] * 24


def test_a_day_is_summed_by_source_with_the_most_refused_first() -> None:
    team = make_team()
    good, bad, worst, silent = (
        create_producer(name, actor=SYSTEM, team=team)
        for name in ("good", "bad", "worst", "silent")
    )
    stream = make_stream()
    account(stream, good, accepted=500)
    account(stream, bad, accepted=80, refused=20)
    account(stream, bad, accepted=7, minutes_ago=300)
    account(stream, worst, refused=40)
    account(stream, silent, accepted=3, minutes_ago=300)
    day = health.last_day()
    assert [(row.producer, row.day.received, row.hour.received) for row in day.sources] == [
        ("worst", 40, 40),
        ("bad", 107, 100),
        ("good", 500, 500),
        ("silent", 3, 0),
    ]
    assert (day.totals.accepted, day.totals.dead_lettered) == (590, 60)
    assert (sum(day.accepted), day.accepted[-1]) == (590, 580)
    assert [row.is_unwell for row in day.sources] == [True, True, False, False]


def test_senders_are_those_of_a_day_with_their_shares() -> None:
    team = make_team()
    web, app = (create_producer(name, actor=SYSTEM, team=team) for name in ("web", "app"))
    stream = make_stream()
    account(stream, web, accepted=30)
    account(stream, app, accepted=10)
    account(make_stream(), app, accepted=500)
    assert health.senders(stream.pk) == [("web", 0.75), ("app", 0.25)]


def test_bins_have_zeros_where_nothing_came() -> None:
    stream, now = make_stream(), clock.now()
    with clock.at(now):
        account(stream, accepted=9, refused=1, minutes_ago=0)
    start = now.replace(second=0, microsecond=0) - timedelta(minutes=10)
    step = timedelta(minutes=5)
    found = health.bins(stream.pk, start=start, end=start + 3 * step, step=step)
    assert [(one.received, one.accepted, one.bad) for one in found] == [
        (0, 0, 0),
        (0, 0, 0),
        (10, 9, 1),
    ]


def test_a_group_names_its_field_and_its_trend() -> None:
    stream, now = make_stream(), clock.now()
    for days in (0.1, 0.2, 5, 6, 9):
        refuse(stream, at=now - timedelta(days=days))
    unknown = refuse(None, at=now - timedelta(days=3))
    fresh = make_stream()
    refuse(fresh)
    found = {group.type: group for group in dead_letters.groups(make_actor()) + _all()}
    assert (found[stream.name].field, found[stream.name].fault) == ("n", "must be of type integer")
    assert found[stream.name].trend == "growing"
    assert found[unknown.type].trend == "stopped"
    assert found[fresh.name].trend == "new"


def _all() -> list[dead_letters.Group]:
    return dead_letters.groups(SYSTEM)
