"""Counting the log exactly once, beside writers that commit in another order than they began."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from django.db import connection

from analytics.models import ReaderOffset, StreamCount
from analytics.selectors import volume
from analytics.services.rollups import roll_up
from catalog.models import Stream
from ingest import partitions
from ingest.connection import connect
from portal.kernel import clock
from tests.support.factories import make_stream

pytestmark = pytest.mark.django_db(transaction=True)
ZERO = clock.now().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
INSERT = """
INSERT INTO ingest_event (stream_id, track, occurred_at, event_id, received_at, producer_id, version,
    source, attributes, content_hash, marks)
VALUES (%s, 1, %s, %s, now(), 1, 1, '/t', '{}', '', 0)
"""


@pytest.fixture
def stream() -> Iterator[Stream]:
    with connect() as raw:
        partitions.make_window(raw)
    found = make_stream()
    yield found
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM ingest_event")


def write(raw: psycopg.Connection[object], stream: Stream, minute: int, name: str) -> None:
    raw.execute(INSERT, [stream.pk, ZERO + timedelta(minutes=minute), name])


def table() -> list[tuple[datetime, int]]:
    return list(StreamCount.objects.order_by("start").values_list("start", "events"))


def test_windows_of_five_minutes_are_counted_once(stream: Stream) -> None:
    with connect() as raw:
        for number, minute in enumerate((0, 4, 5, 12, 12)):
            write(raw, stream, minute, f"e{number}")
    with connect() as raw:
        write(raw, stream, 12, "later")
    assert roll_up() == 6
    assert table() == [
        (ZERO, 2),
        (ZERO + timedelta(minutes=5), 1),
        (ZERO + timedelta(minutes=10), 3),
    ]
    assert roll_up() == 0


def test_a_writer_that_commits_late_is_not_skipped(stream: Stream) -> None:
    late = connect()
    write(late, stream, 0, "began first")
    with connect() as raw:
        write(raw, stream, 1, "committed first")
    assert roll_up() == 0  # an older transaction is still running: nothing after it is read yet
    late.commit()
    late.close()
    assert roll_up() == 2
    assert table() == [(ZERO, 2)]


def test_a_failure_before_the_commit_counts_nothing(stream: Stream) -> None:
    with connect() as raw:
        write(raw, stream, 0, "one")
    before = ReaderOffset.objects.count()
    assert roll_up(batch=1) == 1
    assert ReaderOffset.objects.count() == before + 1
    StreamCount.objects.all().delete()
    ReaderOffset.objects.update(tx=0, seq=0)  # as if the transaction had never been
    assert roll_up() == 1
    assert table() == [(ZERO, 1)]


def test_small_batches_reach_the_same_table(stream: Stream) -> None:
    with connect() as raw:
        for number in range(23):
            write(raw, stream, number, f"e{number}")
    assert roll_up(batch=5) == 23
    assert [events for _, events in table()] == [5, 5, 5, 5, 3]


def test_a_series_has_zeros_for_gaps_and_days_for_lists(stream: Stream) -> None:
    with connect() as raw:
        write(raw, stream, 7, "a")
        write(raw, stream, 61, "b")
    roll_up()
    points = volume.series(
        stream.pk, start=ZERO, end=ZERO + timedelta(hours=2), step=timedelta(minutes=30)
    )
    assert [point.events for point in points] == [1, 0, 1, 0]
    assert points[0].start == ZERO.astimezone(UTC)
    assert volume.daily([stream.pk])[stream.pk][-2:] == [2, 0]
    assert Stream.objects.get(pk=stream.pk).last_event_at == ZERO + timedelta(minutes=61)
