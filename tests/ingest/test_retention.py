"""What has lived its time leaves, exactly then, and holds nobody up."""

import json
import threading
import time
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection

from catalog.models import Stream
from catalog.services.tracks import promote_stream
from ingest.log import lives, partitions
from ingest.log.connection import Connection, connect
from ingest.log.partitions import start_of
from ingest.models import IngestMinute, StorageLeaf, StorageRun
from ingest.services import retention, storage_runs
from ingest.services.retention import keep_retention
from portal.kernel import clock
from portal.kernel.actor import SYSTEM
from portal.kernel.errors import UnavailableError
from tests.ingest.conftest import World, post
from tests.ingest.storing import ids, leaf_days, make_days, store

EXPERIMENTAL = partitions.EVENT_PARENTS[1]
HOUR = timedelta(hours=1)
TODAY = clock.now().date()


def days_ago(days: int) -> date:
    return TODAY - timedelta(days=days)


@pytest.fixture(autouse=True)
def _clean(world: World) -> Iterator[None]:
    yield
    StorageLeaf.objects.all().delete()
    StorageRun.objects.all().delete()
    IngestMinute.objects.all().delete()
    Stream.objects.filter(domain=world.domain).update(retention_days=1)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM ingest_event")
    with connect(autocommit=True) as link:
        partitions.make_window(link)


def test_a_day_of_a_stream_goes_an_hour_after_its_last_moment_has_expired(world: World) -> None:
    short, long = world.stream(retention_days=3), world.stream(retention_days=5)
    day = days_ago(20)
    start = start_of(day)
    make_days(start)
    for stream in (short, long):
        store(stream, start, "first")
        store(stream, start + timedelta(days=1, microseconds=-1), "last")
    over = start + timedelta(days=4) + HOUR
    with clock.at(over - timedelta(microseconds=1)):
        keep_retention()
    assert ids(short) == ids(long) == ["first", "last"]
    with clock.at(over):
        done = keep_retention()
    assert done["events_deleted"] == 2
    assert (ids(short), ids(long)) == ([], ["first", "last"])
    assert day.isoformat() in leaf_days(EXPERIMENTAL)
    with clock.at(over + timedelta(days=2)):
        assert keep_retention()["leaves_dropped"] >= 1
    assert ids(long) == []
    assert day.isoformat() not in leaf_days(EXPERIMENTAL)


def test_a_promoted_streams_old_days_live_as_long_as_its_new_ones(world: World) -> None:
    stream = world.stream()
    day = days_ago(50)
    make_days(start_of(day))
    store(stream, start_of(day))
    promote_stream(stream, actor=SYSTEM)
    stream.refresh_from_db()
    assert stream.retention_days == 400
    keep_retention()
    assert ids(stream) == ["e1"]


def test_promotion_leaves_a_life_that_somebody_chose(world: World) -> None:
    stream = world.stream(retention_days=7)
    assert promote_stream(stream, actor=SYSTEM).retention_days == 7


def test_a_leaf_left_empty_goes_although_a_stream_might_write_there(world: World) -> None:
    world.stream(retention_days=400)
    gone = world.stream(retention_days=10)
    day = days_ago(60)
    make_days(start_of(day))
    store(gone, start_of(day))
    keep_retention()
    assert day.isoformat() not in leaf_days(EXPERIMENTAL)


def test_a_sweep_looks_into_a_leaf_again_only_when_another_stream_is_over(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    short, long = world.stream(retention_days=3), world.stream(retention_days=300)
    make_days(start_of(days_ago(20)))
    store(short, start_of(days_ago(20)))
    store(long, start_of(days_ago(20)))
    keep_retention()
    looked: list[date] = []
    original = retention.streams_of_day

    def watched(link: Connection, track: int, day: date) -> list[int]:
        looked.append(day)
        return original(link, track, day)

    monkeypatch.setattr(retention, "streams_of_day", watched)
    keep_retention()
    assert days_ago(20) not in looked
    Stream.objects.filter(pk=long.pk).update(retention_days=10)
    keep_retention()
    assert days_ago(20) in looked
    assert ids(long) == []


def test_a_sweep_that_is_killed_in_any_step_is_gone_on_with(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between detaching and dropping the leaf lies beside its parent; nobody reads it."""
    stream = world.stream(retention_days=3)
    day = days_ago(20)
    keep_retention()  # so that this day is the only one that may go
    make_days(start_of(day))
    store(stream, start_of(day))

    def die(link: Connection, parent: str, *rest: Any) -> bool:
        if parent == EXPERIMENTAL:
            raise KeyboardInterrupt
        return original(link, parent, *rest)

    original = partitions.drop_detached

    with monkeypatch.context() as patch:
        patch.setattr(partitions, "drop_detached", die)
        with pytest.raises(KeyboardInterrupt):
            keep_retention()
    with connect(autocommit=True) as link:
        (leaf,) = [one for one in partitions.leaves(link, EXPERIMENTAL) if one.day == day]
    assert leaf.state == partitions.DETACHED
    assert StorageRun.objects.latest("id").failure == "It was stopped."
    keep_retention()
    assert day.isoformat() not in leaf_days(EXPERIMENTAL)


def test_a_detached_day_that_may_not_go_after_all_is_put_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = world.stream(retention_days=3)
    day = days_ago(20)
    keep_retention()  # so that this day is the only one that may go
    make_days(start_of(day))
    store(stream, start_of(day))
    original = partitions.detach

    def lengthen(link: Connection, parent: str, on: date) -> bool:
        done = original(link, parent, on)
        Stream.objects.filter(pk=stream.pk).update(retention_days=300)
        return done

    monkeypatch.setattr(partitions, "detach", lengthen)
    keep_retention()
    assert ids(stream) == ["e1"]


def test_a_writer_that_needs_a_detached_day_puts_it_back(world: World) -> None:
    stream, day = world.stream(), days_ago(20)
    make_days(start_of(day))
    store(stream, start_of(day))
    with connect(autocommit=True) as link:
        assert partitions.detach(link, EXPERIMENTAL, day)
        assert ids(stream) == []
        partitions.make_days(link, [EXPERIMENTAL], [day])
    assert ids(stream) == ["e1"]


def test_an_event_older_than_its_stream_keeps_them_is_a_dead_letter(world: World) -> None:
    stream = world.stream(retention_days=2)
    headers = {
        "content-type": "application/cloudevents+json",
        "authorization": f"Bearer {world.key(world.producer())}",
    }
    event: dict[str, Any] = {
        "specversion": "1.0", "source": "/s", "type": stream.name, "data": {"order": "a"},
        "id": "old", "time": (clock.now() - timedelta(days=2, seconds=5)).isoformat(),
    }  # fmt: skip
    answer = post(json.dumps(event).encode(), headers)
    (result,) = answer.json["results"]
    assert (answer.status, result["reason"]) == (422, "out_of_window")
    assert result["errors"][0]["code"] == "expired"
    event |= {"id": "young", "time": (clock.now() - timedelta(days=2, seconds=-60)).isoformat()}
    assert post(json.dumps(event).encode(), headers).status == 202


def test_a_clock_that_runs_ahead_lets_nothing_go(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "CLOCKS_APART", timedelta(microseconds=-1))
    with pytest.raises(UnavailableError, match="apart"):
        keep_retention()
    assert "apart" in StorageRun.objects.latest("id").failure


def test_one_keeper_runs_at_a_time_and_a_dead_one_is_replaced(world: World) -> None:
    with storage_runs.begin("retention") as run:
        with pytest.raises(storage_runs.BusyError):
            keep_retention()
        StorageRun.objects.update(alive_at=clock.now() - timedelta(minutes=3))
        keep_retention()
        with pytest.raises(storage_runs.BusyError):
            run.beat()


@pytest.mark.alone
def test_dropping_a_day_stalls_no_writer_while_somebody_reads_for_long(world: World) -> None:
    """F24: a reader holds the log open; writers go on; the leaf goes once the reader has ended."""
    stream, day = world.stream(retention_days=3), days_ago(20)
    make_days(start_of(day))
    store(stream, start_of(day))
    other = world.stream()
    written: list[str] = []
    held: list[str] = []
    is_over = threading.Event()

    def write() -> None:
        with connect(autocommit=True) as link:
            # The server's own clock: a writer waits for a lock no second, whatever the machine does.
            link.execute("SET lock_timeout = '1s'")
            while not is_over.is_set():
                name = f"w{len(written) + len(held)}"
                try:
                    link.execute(
                        "INSERT INTO ingest_event (stream_id, track, occurred_at, event_id,"
                        " received_at, producer_id, source, attributes, content_hash, marks)"
                        " VALUES (%s, 1, now(), %s, now(), 1, '/', '{}', '', 0)",
                        (other.pk, name),
                    )
                except psycopg.errors.LockNotAvailable:
                    held.append(name)
                else:
                    written.append(name)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        with connect() as reader, connect(autocommit=True) as link:
            reader.execute("SELECT count(*) FROM ingest_event")  # keeps its lock and its snapshot
            assert not partitions.detach(link, EXPERIMENTAL, day, tries=3)
            assert not partitions.drop_empty(link, EXPERIMENTAL, days_ago(25), tries=2)
            reader.rollback()
            deadline = time.monotonic() + 60
            while day.isoformat() in leaf_days(EXPERIMENTAL):
                assert time.monotonic() < deadline
                keep_retention()
    finally:
        is_over.set()
        writer.join(10)
    assert len(written) > 20
    assert held == []


def test_dead_letters_go_by_the_day_after_thirty(world: World) -> None:
    old, young = days_ago(32), days_ago(29)
    with connect(autocommit=True) as link:
        partitions.make_days(link, [partitions.DEAD_LETTERS], [old, young])
    keep_retention()
    days = leaf_days(partitions.DEAD_LETTERS)
    assert old.isoformat() not in days
    assert young.isoformat() in days


def test_old_claims_of_identities_are_forgotten(world: World) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO ingest_event_ledger VALUES (1, 'old', now(), '', now() - interval '2 h'),"
            " (1, 'new', now(), '', now() + interval '1 h')"
        )
        keep_retention()
        cursor.execute("SELECT event_id FROM ingest_event_ledger WHERE stream_id = 1")
        assert cursor.fetchall() == [("new",)]
        cursor.execute("DELETE FROM ingest_event_ledger")


def test_accounts_are_thinned_and_their_sums_stay(world: World) -> None:
    long_ago, quarter, recent, today = (start_of(days_ago(n)) for n in (500, 120, 20, 0))
    rows = []
    for start in (long_ago, quarter, recent, today):
        rows += [
            IngestMinute(stream_id=1, producer_id=1, minute=start + timedelta(minutes=minute),
                         received=3, accepted=2, duplicate=1, drift=1)
            for minute in (0, 1, 59, 60, 61)
        ]  # fmt: skip
        rows += [
            IngestMinute(
                stream_id=1, producer_id=1, minute=start, slot=slot, received=1, accepted=1
            )
            for slot in (1, 15)
        ]
    IngestMinute.objects.bulk_create(rows)
    keep_retention()
    keep_retention()
    found = list(
        IngestMinute.objects.order_by("minute").values_list("minute", "received", "accepted")
    )
    assert found[:4] == [
        (long_ago, 17, 12),
        (quarter, 11, 8),
        (quarter + HOUR, 6, 4),
        (recent, 5, 4),
    ]
    assert len(found) == 3 + 5 + 7


@pytest.mark.parametrize(
    ("track", "day", "expected"),
    [(0, -1, False), (1, -1, True), (0, 0, True), (1, 0, True), (0, 1, True), (1, 1, False)],
)
def test_a_promoted_stream_lies_on_both_tracks_on_that_day_alone(
    track: int, day: int, *, expected: bool
) -> None:
    promoted = start_of(TODAY) + 5 * HOUR
    life = lives.Life(1, "a.b", 30, is_production=True, moments=(promoted,))
    assert life.may_lie_in(track, TODAY + timedelta(days=day)) is expected
