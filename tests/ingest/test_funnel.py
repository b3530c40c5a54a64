"""The funnel of a stream adds up exactly, whatever became of its events; latencies beside it."""

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from ingest.judging.admission import directory
from ingest.log.group import Item, Submission
from ingest.log.latencies import Latencies, Measure, latencies
from ingest.log.store import close_writer
from ingest.models import IngestMinute, LatencyMinute, RefusalMinute
from ingest.selectors import funnel as funnels
from ingest.selectors import latencies as measured
from ingest.selectors.dead_letters import groups
from ingest.services import letters, observing
from ingest.services.retention import _THIN, _THIN_REFUSALS
from ingest.types import Envelope, Mark, Status
from portal.kernel import clock, sql
from portal.kernel.log_buckets import bucket_of, lowest_of, quantile, within
from tests.ingest.shop import CAST, Shop, run

pytestmark = pytest.mark.django_db(transaction=True)
DAY = timedelta(days=1)


@pytest.fixture
def shop() -> Iterator[Shop]:
    directory.forget_all()
    yield Shop()
    close_writer()
    directory.forget_all()


def funnel_of(shop: Shop) -> funnels.Funnel:
    return funnels.last(shop.stream.pk, DAY)


def stored_rows(shop: Shop) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM ingest_event WHERE stream_id = %s", [shop.stream.pk])
        return int(cursor.fetchone()[0])


def test_a_funnel_adds_up_after_mixed_traffic_repairs_and_replays(shop: Shop) -> None:
    at: dict[str, Any] = {"time": (clock.now() - timedelta(minutes=5)).isoformat()}
    shop.send({"n": 1}, {"n": 2}, {"n": 3}, start=100, **at)
    shop.send(
        {"n": 1}, {"n": 9}, start=100, **at
    )  # a duplicate, and other content under a known id
    shop.send({"n": "1"}, {"n": "2"}, {"n": "NaN"}, **at)
    shop.send({"n": "1"}, **at)  # sent again: refused again, kept once
    before = funnel_of(shop)
    assert (before.received, before.accepted, before.duplicate) == (9, 3, 1)
    assert {one.reason: one.events for one in before.refused} == {
        "schema_violation": 4, "id_conflict": 1,
    }  # fmt: skip
    assert (before.difference, before.stored, before.delivered) == (0, 3, None)
    broken = next(one for one in groups(shop.ada) if one.reason == "schema_violation")
    repair = letters.declare_repair(broken, CAST, actor=shop.ada)
    letters.start_dry_run(repair, actor=shop.ada)
    run()
    repair.refresh_from_db()
    letters.approve_repair(repair, actor=shop.ben)
    letters.apply_repair(repair, actor=shop.ada)
    run()
    shop.send({"n": 7}, start=200)
    after = funnel_of(shop)
    assert (after.received, after.accepted) == (10, 4)
    assert (after.replayed, after.repaired, after.stored) == (2, 2, 6)
    assert after.refused == before.refused, "what was refused stays in its minute"
    assert after.difference == 0
    assert after.stored == stored_rows(shop), "the accounts agree with the log"
    assert funnels.refused_ever()["id_conflict"] >= 1


def test_thinning_keeps_every_sum(shop: Shop) -> None:
    shop.send({"n": 1}, {"n": "x"})
    start = clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    IngestMinute.objects.update(replayed=5, repaired=3)
    before = funnel_of(shop)
    for unit in ("hour", "hour", "day"):
        stretch = {"start": start, "end": start + DAY, "unit": unit}
        sql.execute(_THIN, stretch)
        sql.execute(_THIN_REFUSALS, stretch)
    assert {row.minute for row in RefusalMinute.objects.all()} == {start}
    whole = funnels.funnel(shop.stream.pk, since=start, until=start + DAY)
    assert (whole.received, whole.refused) == (before.received, before.refused)
    assert (whole.replayed, whole.repaired, whole.difference) == (5, 3, 0)


def test_refusals_from_before_reasons_were_counted_are_named_so(shop: Shop) -> None:
    shop.send({"n": "x"}, {"n": "y"})
    RefusalMinute.objects.update(events=1)
    found = funnel_of(shop)
    assert {one.reason: one.events for one in found.refused} == {
        "schema_violation": 1, "untold": 1,
    }  # fmt: skip
    assert found.difference == 0


def test_what_is_written_is_timed_for_its_stream_and_for_everything(shop: Shop) -> None:
    latencies().take()
    LatencyMinute.objects.all().delete()
    shop.send({"n": 1}, {"n": 2}, {"n": "x"})
    latencies().flush()
    mine, whole = measured.of_stream(shop.stream.pk), measured.of_stream(0)
    assert mine[Measure.COMMIT].events == mine[Measure.AGE].events == 2, (
        "refused ones are not timed"
    )
    assert mine[Measure.WRITE].events == 0
    assert (whole[Measure.COMMIT].events, whole[Measure.WRITE].events) == (2, 1)
    assert whole[Measure.GROUP].p50 == pytest.approx(3.5), "one group of three"
    took = mine[Measure.COMMIT].p99
    assert took is not None
    assert 0 < took < 10
    shop.send({"n": 1}, start=300)
    latencies().flush()
    assert measured.of_stream(shop.stream.pk)[Measure.COMMIT].events == 3, "histograms add up"


def test_thinned_histograms_keep_everything_for_good_and_streams_for_a_week(shop: Shop) -> None:
    now = clock.now()
    LatencyMinute.objects.all().delete()

    def put(stream: int, ago: timedelta, events: int) -> None:
        minute = (now - ago).replace(second=0, microsecond=0)
        LatencyMinute.objects.create(
            stream_id=stream, measure=Measure.COMMIT, minute=minute, bucket=40, events=events
        )

    for stream in (0, shop.stream.pk):
        put(stream, timedelta(minutes=5), 1)
        put(stream, timedelta(hours=4), 2)
        put(stream, timedelta(hours=4, minutes=1), 4)
        put(stream, timedelta(days=9), 8)
    for _ in range(2):
        observing.thin_latencies()
    total = dict.fromkeys((0, shop.stream.pk), 0)
    for row in LatencyMinute.objects.all():
        total[row.stream_id] += row.events
        assert row.minute > now - timedelta(hours=3) or row.minute.minute == 0
    assert total == {0: 15, shop.stream.pk: 7}


def test_freshness_is_sampled_of_streams_that_are_not_dormant(shop: Shop) -> None:
    LatencyMinute.objects.all().delete()
    type(shop.stream).objects.update(last_event_at=clock.now() - timedelta(seconds=90))
    assert observing.sample_freshness() >= 1
    found = measured.of_stream(shop.stream.pk)[Measure.FRESHNESS]
    assert found.events == 1
    assert found.p50 == pytest.approx(90, rel=0.25)
    type(shop.stream).objects.update(last_event_at=clock.now() - timedelta(days=2))
    assert observing.sample_freshness() == 0


def test_a_group_is_sampled_and_stands_for_all_of_it() -> None:
    now = time.time_ns() // 60_000_000_000 * 60_000_000_000 + 30_000_000_000  # amid a minute
    us = now // 1000

    def submission(n: int, **fields: Any) -> Submission:
        items = [
            Item(
                "",
                Envelope(b"", ""),
                stream_id=7,
                occurred_us=us - 1_000_000,
                status=Status.ACCEPTED,
            )
            for _ in range(n)
        ]
        return Submission(items, 1, us - 2000, queued_us=us - 1500, **fields)

    found = Latencies()
    group = [submission(160) for _ in range(9)]
    found.note(group, now - 1_000_000, now)
    cells = found.take()
    minute = us - us % 60_000_000
    assert sum(cells[7, minute, Measure.AGE].values()) == 160 * 9
    assert list(cells[7, minute, Measure.COMMIT]) == [bucket_of(2000)]
    assert list(cells[7, minute, Measure.JUDGE]) == [bucket_of(500)]
    assert list(cells[0, minute, Measure.WRITE]) == [bucket_of(1000)]
    imported = submission(3)
    for item in imported.items:
        item.marks = Mark.IMPORTED.value
    others = [submission(3, is_replay=True), submission(3, is_rehearsal=True), imported]
    found.note(others, now, now)
    assert {measure for _, _, measure in found.take()} == {Measure.WRITE, Measure.GROUP}
    found.close()


def test_buckets_are_an_eighth_off_at_most_and_in_order() -> None:
    values = [0, 1, 3, 4, 5, 7, 8, 9, 1000, 1023, 1024, 10**6, 10**12, 2**62]
    for value in values:
        bucket = bucket_of(value)
        assert lowest_of(bucket) <= value < lowest_of(bucket + 1)
        assert lowest_of(bucket + 1) - lowest_of(bucket) <= max(1, value / 4)
    assert bucket_of(-5) == 0
    assert all(lowest_of(n) < lowest_of(n + 1) for n in range(250))
    counts: dict[int, int] = {}
    for value in range(1000, 2000):
        counts[bucket_of(value)] = counts.get(bucket_of(value), 0) + 1
    assert quantile(counts, 0.5) == pytest.approx(1500, rel=0.02)
    assert quantile(counts, 0.99) == pytest.approx(1990, rel=0.05)
    assert within(counts, 1500) == pytest.approx(0.5, abs=0.02)
    assert quantile({}, 0.5) is None
