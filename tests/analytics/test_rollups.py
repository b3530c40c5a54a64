"""Counting the log exactly once, beside writers that commit in another order than they began."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from random import Random

import psycopg
import pytest
from django.db import OperationalError, connection

from analytics.models import ReaderOffset, StreamCount
from analytics.selectors import volume
from analytics.services import rollups
from analytics.services.rollups import FIRST_SPAN, roll_up
from catalog.models import Stream
from ingest.log import partitions
from ingest.log.connection import connect
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
def stream() -> Stream:
    with connect() as raw:
        partitions.make_window(raw)
    return make_stream()


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


def test_a_reader_that_is_killed_before_its_commit_has_counted_nothing(stream: Stream) -> None:
    with connect() as raw:
        write(raw, stream, 0, "one")
    assert roll_up() == 1
    before = ReaderOffset.objects.values_list("tx", "seq").get()
    with connect() as raw:
        write(raw, stream, 1, "two")
    with connect() as other, ThreadPoolExecutor(1) as pool:
        other.execute("SELECT FROM analytics_streamcount FOR UPDATE")
        reader = pool.submit(in_thread, roll_up)
        assert kill_blocked_reader()
        with pytest.raises(OperationalError):
            reader.result(timeout=10)
    assert table() == [(ZERO, 1)]
    assert ReaderOffset.objects.values_list("tx", "seq").get() == before
    assert roll_up() == 1
    assert table() == [(ZERO, 2)]


def in_thread(work: Callable[[], int]) -> int:
    try:
        return work()
    finally:
        connection.close()


def kill_blocked_reader() -> bool:
    """End the backend that waits for the counts, as a crash would."""
    with connect(autocommit=True) as raw:
        for _ in range(100):
            killed = raw.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE wait_event_type = 'Lock' AND query LIKE '%Count the events of a span%'"
                " AND datname = current_database()"
            ).fetchall()
            if killed:
                return True
            time.sleep(0.05)
    return False


def test_two_readers_beside_unruly_writers_count_every_event_once(stream: Stream) -> None:
    """Six writers commit late, out of order, or roll back, while two readers count."""
    written = threading.Event()
    with connect() as raw:
        write(raw, stream, 0, "so that the offset is near the end")
    assert roll_up() == 1

    def writer(number: int) -> int:
        random = Random(number)
        kept = 0
        with connect() as raw:
            for turn in range(40):
                size = random.randrange(1, 6)
                for place in range(size):
                    write(raw, stream, random.randrange(60), f"{number}-{turn}-{place}")
                time.sleep(random.random() / 25)
                if random.random() < 0.1:
                    raw.rollback()
                else:
                    raw.commit()
                    kept += size
        return kept

    def reader() -> int:
        total = 0
        while not written.is_set():
            total += roll_up(batch=7)
        return total

    with ThreadPoolExecutor(8) as pool:
        readers = [pool.submit(in_thread, reader) for _ in range(2)]
        try:
            kept = sum(pool.map(writer, range(6)))
        finally:
            written.set()
        read = sum(each.result(timeout=60) for each in readers)
    assert 0 < read <= kept
    read += roll_up(batch=7)
    assert read == kept
    assert dict(table()) == expected_table()
    assert sum(events for _, events in table()) == kept + 1


def expected_table() -> dict[datetime, int]:
    """What a plain count over the log says."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT date_bin('5 minutes', occurred_at, '2000-01-01 00:00+00'), count(*)"
            " FROM ingest_event GROUP BY 1"
        )
        return dict(cursor.fetchall())


def test_a_reader_goes_on_over_long_stretches_without_events(stream: Stream) -> None:
    """Transactions of others lie between events; the reader passes them in few steps."""
    with connect() as raw:
        write(raw, stream, 0, "before")
    assert roll_up() == 1
    with connect(autocommit=True) as raw:
        for _ in range(3 * FIRST_SPAN):
            raw.execute("SELECT pg_current_xact_id()")
        write(raw, stream, 1, "after")
    assert roll_up() == 1
    assert table() == [(ZERO, 2)]


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many events each step reads."""
    found: list[int] = []
    step = rollups._step

    def noted(batch: int, before: rollups.Step) -> rollups.Step:
        after = step(batch, before)
        found.append(after.read)
        return after

    monkeypatch.setattr(rollups, "_step", noted)
    return found


def test_small_steps_reach_the_same_table(stream: Stream, steps: list[int]) -> None:
    with connect() as raw:
        write(raw, stream, 0, "so that the offset is near the end")
    roll_up()
    with connect() as raw:
        for number in range(23):
            write(raw, stream, number, f"e{number}")
            raw.commit()
    assert roll_up(batch=5, first_span=5) == 23
    assert [events for _, events in table()] == [6, 5, 5, 5, 3]
    assert max(steps) <= 6


def test_behind_a_long_stretch_without_events_a_dense_log_is_read_in_steps(
    stream: Stream, steps: list[int]
) -> None:
    """A span that grew while there was nothing is not read whole where there is much."""
    with connect() as raw:
        write(raw, stream, 0, "before")
    assert roll_up() == 1
    with connect(autocommit=True) as raw:
        for _ in range(2_000):
            raw.execute("SELECT pg_current_xact_id()")
        for number in range(600):
            write(raw, stream, number % 60, f"e{number}")
    del steps[:]
    assert roll_up(batch=20, first_span=8) == 600
    assert max(steps) <= 80
    assert len(steps) <= 70


def test_a_series_has_zeros_for_gaps_and_lists_have_days_that_end_now(stream: Stream) -> None:
    with connect() as raw:
        write(raw, stream, 7, "a")
        write(raw, stream, 61, "b")
    roll_up()
    points = volume.series(
        stream.pk, start=ZERO, end=ZERO + timedelta(hours=2), step=timedelta(minutes=30)
    )
    assert [point.events for point in points] == [1, 0, 1, 0]
    assert points[0].start == ZERO.astimezone(UTC)
    with clock.at(ZERO + timedelta(hours=12)):  # noon: the day so far is no fall of a half
        assert volume.daily([stream.pk])[stream.pk][-2:] == [0, 2]
        assert volume.last_day([stream.pk]) == {stream.pk: 2}
    with clock.at(ZERO + timedelta(hours=24, minutes=30)):
        assert volume.daily([stream.pk])[stream.pk][-2:] == [1, 1]
        assert volume.last_day([stream.pk]) == {stream.pk: 1}
    assert Stream.objects.get(pk=stream.pk).last_event_at == ZERO + timedelta(minutes=61)
