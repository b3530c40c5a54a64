"""The checks over ingest's accounts: what they judge, when they alarm, and when they are calm."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog.models import Stream
from governance.models import AuditEntry
from ingest.models import IngestMinute
from quality.models import Alarm, Baseline, Check, CheckDay
from quality.services.baselines import learn_baselines
from quality.services.evaluation import run_checks
from tests.support.factories import make_stream

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 16, 12, 0, tzinfo=UTC)
WINDOW = timedelta(minutes=5)


def account(stream: Stream, at: datetime, accepted: int, bad: int = 0) -> IngestMinute:
    return IngestMinute(
        stream_id=stream.pk, minute=at, producer_id=1, received=accepted + bad,
        accepted=accepted, dead_lettered=bad, invalid=bad,
    )  # fmt: skip


def steady(stream: Stream, *, days: float, until: datetime = NOON, each: int = 10) -> None:
    """`each` events every ten minutes up to a moment: 60 an hour unless said otherwise."""
    step = timedelta(minutes=10)
    IngestMinute.objects.bulk_create(
        account(stream, until - step * number, each) for number in range(1, int(days * 144) + 1)
    )


def level(stream: Stream, kind: str) -> int | None:
    check = Check.objects.filter(stream=stream, kind=kind).first()
    return check.level if check is not None else None


def state(stream: Stream, kind: str) -> str:
    return Check.objects.get(stream=stream, kind=kind).state


@pytest.mark.parametrize(
    ("accepted", "bad", "found"),
    [(37, 3, None), (995, 5, 0), (980, 20, 1), (900, 100, 2), (0, 60, 2)],
)
def test_validity_weighs_the_refused_share_against_its_goal(
    accepted: int, bad: int, found: int | None
) -> None:
    stream = make_stream()
    account(stream, NOON - WINDOW, accepted, bad).save(force_insert=True)
    run_checks(NOON)
    assert level(stream, "validity") == found


def test_validity_of_a_thin_stream_looks_further_back() -> None:
    stream = make_stream()
    for hours in (1, 3, 5):
        account(stream, NOON - timedelta(hours=hours), 10, 10).save(force_insert=True)
    run_checks(NOON)
    check = Check.objects.get(stream=stream, kind="validity")
    assert check.level == 2
    assert "6 hours" in check.sentence


@pytest.mark.parametrize(("minutes", "found"), [(29, 0), (32, 1), (62, 2)])
def test_freshness_follows_a_declared_cadence(minutes: int, found: int) -> None:
    stream = make_stream()
    Stream.objects.filter(pk=stream.pk).update(cadence_seconds=600)
    account(stream, NOON - timedelta(minutes=minutes), 1).save(force_insert=True)
    run_checks(NOON)
    assert level(stream, "freshness") == found


@pytest.mark.parametrize(("minutes", "found"), [(5, 0), (9, 1), (16, 2)])
def test_freshness_follows_the_rhythm_of_the_stream(minutes: int, found: int) -> None:
    """60 an hour: 7 are missed after 8 minutes of silence and 14 after 15."""
    stream = make_stream()
    steady(stream, days=21)
    learn_baselines(NOON)
    IngestMinute.objects.filter(minute__gte=NOON - timedelta(minutes=30)).delete()
    account(stream, NOON - timedelta(minutes=minutes), 10).save(force_insert=True)
    run_checks(NOON)
    assert level(stream, "freshness") == found
    expected = {5: "4.0", 9: "8.0", 16: "about 15"}[minutes]
    said = Check.objects.get(stream=stream, kind="freshness").sentence
    assert said.endswith(f" ago; {expected} were expected since.")


def test_a_stream_without_history_is_not_measured() -> None:
    stream = make_stream()
    steady(stream, days=2)
    assert learn_baselines(NOON) == 0
    run_checks(NOON)
    assert level(stream, "freshness") is level(stream, "volume") is None
    assert level(stream, "validity") == 0


@pytest.mark.parametrize(
    ("events", "found"), [(60, 0), (52, 0), (70, 0), (30, 1), (120, 1), (0, 2), (600, 2)]
)
def test_volume_is_judged_by_the_same_hour_of_past_weeks(events: int, found: int) -> None:
    stream = make_stream()
    steady(stream, days=21)
    learn_baselines(NOON)
    IngestMinute.objects.filter(minute__gte=NOON - timedelta(hours=1)).delete()
    if events:
        account(stream, NOON - WINDOW, events).save(force_insert=True)
    run_checks(NOON)
    check = Check.objects.get(stream=stream, kind="volume")
    assert (check.value, check.level) == (events, found)
    assert check.expected == pytest.approx(60, rel=0.01)


def test_a_baseline_knows_nights_from_days_and_forgets_alarms() -> None:
    stream = make_stream()
    for day in range(1, 22):
        midnight = NOON.replace(hour=0) - timedelta(days=day)
        IngestMinute.objects.bulk_create(
            account(stream, midnight + timedelta(hours=hour), 500 if 8 <= hour < 20 else 20)
            for hour in range(24)
        )
    outage = NOON.replace(hour=0) - timedelta(days=2)
    IngestMinute.objects.filter(minute__gte=outage).delete()
    learn_baselines(NOON.replace(hour=0))
    untold = Baseline.objects.get(stream=stream)
    Alarm.objects.create(
        stream=stream, kind="volume", level=2, sentence="Silent.", opened_at=outage
    )
    learn_baselines(NOON.replace(hour=0))
    told = Baseline.objects.get(stream=stream)
    assert told.hours == untold.hours - 48
    assert told.hourly_means[12] == pytest.approx(500)
    assert told.hourly_means[3] == pytest.approx(20)
    assert untold.hourly_means[12] < 450
    assert told.profile[12] > told.profile[3] + 2


def test_an_alarm_opens_closes_and_reopens_with_a_row_of_the_audit_each() -> None:
    stream = make_stream()
    at = NOON
    account(stream, at - WINDOW, 0, 200).save(force_insert=True)
    assert run_checks(at) == 1
    assert state(stream, "validity") == "suspect"
    assert not Alarm.objects.exists()
    at += WINDOW
    run_checks(at)
    alarm = Alarm.objects.get()
    assert (alarm.stream, alarm.kind, alarm.opened_at, alarm.is_open) == (
        stream, "validity", at, True,
    )  # fmt: skip
    IngestMinute.objects.all().update(dead_lettered=0, invalid=0, accepted=200)
    for _ in range(3):
        assert Alarm.objects.get().is_open
        at += WINDOW
        run_checks(at)
    assert state(stream, "validity") == "recovered"
    assert Alarm.objects.get().closed_at == at
    IngestMinute.objects.all().update(dead_lettered=200, invalid=200, accepted=0)
    run_checks(at + WINDOW)
    again = Alarm.objects.get()
    assert (again.pk, again.is_open, again.reopened) == (alarm.pk, True, 1)
    entries = AuditEntry.objects.filter(action__startswith="alarm.").order_by("seq")
    assert [(entry.action, entry.actor_kind, entry.object_key) for entry in entries] == [
        ("alarm.opened", "system", stream.name),
        ("alarm.closed", "system", stream.name),
        ("alarm.reopened", "system", stream.name),
    ]


def test_one_bad_window_is_a_glitch_and_nobody_is_told() -> None:
    stream = make_stream()
    row = account(stream, NOON - WINDOW, 980, 20)
    row.save(force_insert=True)
    run_checks(NOON)
    assert state(stream, "validity") == "suspect"
    IngestMinute.objects.all().update(dead_lettered=0, invalid=0, accepted=1000)
    for number in range(1, 4):
        run_checks(NOON + number * WINDOW)
    assert state(stream, "validity") == "ok"
    assert not Alarm.objects.exists()
    day = CheckDay.objects.get(stream_id=stream.pk, kind="validity")
    assert (day.worst, day.evaluations, day.breaches) == (1, 4, 1)


def test_the_same_window_is_judged_once_and_an_earlier_one_never() -> None:
    stream = make_stream()
    account(stream, NOON - WINDOW, 0, 200).save(force_insert=True)
    assert run_checks(NOON + timedelta(seconds=30)) == 1
    assert run_checks(NOON + timedelta(minutes=4, seconds=59)) == 0
    assert run_checks(NOON - timedelta(hours=1)) == 0
    assert CheckDay.objects.get().evaluations == 1
    assert Check.objects.get().evaluated_at == NOON


def test_more_streams_need_no_more_queries() -> None:
    counts: list[int] = []
    for number in (2, 18):
        for _ in range(number):
            account(make_stream(), NOON - WINDOW, 100).save(force_insert=True)
        with CaptureQueriesContext(connection) as captured:
            run_checks(NOON + len(counts) * WINDOW)
        counts.append(len(captured))
    assert Check.objects.count() == 20
    assert counts[0] == counts[1]


def test_the_alarm_of_a_retired_stream_is_closed() -> None:
    stream = make_stream()
    Alarm.objects.create(
        stream=stream, kind="volume", level=2, sentence="Silent.", opened_at=NOON - WINDOW
    )
    run_checks(NOON)
    assert Alarm.objects.get().is_open
    Stream.objects.filter(pk=stream.pk).update(lifecycle="retired")
    run_checks(NOON + WINDOW)
    assert Alarm.objects.get().closed_at == NOON + WINDOW
    assert AuditEntry.objects.filter(action="alarm.closed").count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_workers_judge_a_window_once() -> None:
    stream = make_stream()
    account(stream, NOON - WINDOW, 0, 200).save(force_insert=True)

    def judge() -> int:
        try:
            return run_checks(NOON)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        verdicts = [pool.submit(judge) for _ in range(4)]
        assert sorted(each.result(timeout=30) for each in verdicts) == [0, 0, 0, 1]
    assert CheckDay.objects.get(stream_id=stream.pk).evaluations == 1


def test_production_is_judged_for_itself() -> None:
    trial, core = make_stream(), make_stream()
    Stream.objects.filter(pk=core.pk).update(track="production")
    for stream in (trial, core):
        account(stream, NOON - WINDOW, 900, 100).save(force_insert=True)
        steady(stream, days=4, until=NOON - WINDOW)
    assert learn_baselines(NOON, track="production") == 1
    assert Baseline.objects.get().stream == core
    run_checks(NOON, track="production")
    assert (level(core, "validity"), level(trial, "validity")) == (2, None)
    run_checks(NOON, track="experimental")
    assert level(trial, "validity") == 2
    assert run_checks(NOON) == 0, "either is judged once"
