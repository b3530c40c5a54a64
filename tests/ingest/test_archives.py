"""Archived days: whole before they leave the log, and row for row the same when they come back."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from catalog.models import Stream
from governance.models import Job
from governance.services.jobs import run_due_jobs
from ingest.log import partitions
from ingest.log.connection import connect
from ingest.log.lives import Life
from ingest.log.partitions import start_of
from ingest.models import (
    ArchivedPart,
    Restore,
    RestoredEvent,
    StorageLeaf,
    StorageRun,
)
from ingest.selectors.events import stored_events
from ingest.services import archives
from ingest.services.archives import ArchiveError, archive_day, check_part, start_restore
from ingest.services.retention import keep_retention
from portal.kernel import clock
from portal.kernel.actor import SYSTEM
from portal.kernel.errors import ConflictError, InvalidError, NotFoundError, NotPermittedError
from tests.ingest.conftest import World
from tests.ingest.storing import ids, make_days, store
from tests.support.factories import make_actor

DAY = clock.now().date() - timedelta(days=20)
COLUMNS = archives._COLUMNS


@pytest.fixture(autouse=True)
def folder(world: World, settings: Any, tmp_path: Path) -> Iterator[Path]:
    settings.ARCHIVE_DIR = tmp_path
    yield tmp_path
    for model in (StorageLeaf, StorageRun, ArchivedPart, Restore, RestoredEvent, Job):
        model.objects.all().delete()
    Stream.objects.filter(domain=world.domain).update(archive=False, retention_days=1)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM ingest_event")
    with connect(autocommit=True) as link:
        partitions.make_window(link)


def life(stream: Stream) -> Life:
    return Life(stream.pk, stream.name, stream.retention_days, False, archive=True)


def awkward(stream: Stream, day: date = DAY) -> None:
    """Events that a lossy road would change."""
    start = start_of(day)
    make_days(start)
    store(stream, start, "numbers", text='{"a": 1.10, "b": 12345678901234567890.5, "c": 1e2}')
    store(stream, start + timedelta(microseconds=1), "bytes", binary=b"\x00\xff", version=None)
    store(stream, start + timedelta(hours=1), "text", {"é": "  ", "n": None}, subject="",
          attributes={"partitionkey": "k"}, extra={"/b": 2})  # fmt: skip
    store(stream, start + timedelta(hours=2), "none", version=3, subject="s")


def rows(table: str, stream: Stream, where: str = "true") -> list[tuple[Any, ...]]:
    said = COLUMNS.replace(" data,", " data::text,").replace("tx,", "tx::text,")
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {said} FROM {table} WHERE stream_id = %s AND {where} ORDER BY occurred_at",
            [stream.pk],
        )
        return [
            tuple(bytes(v) if isinstance(v, memoryview) else v for v in row)
            for row in cursor.fetchall()
        ]


def test_what_was_archived_comes_back_row_for_row(world: World, folder: Path) -> None:
    stream = world.stream(retention_days=3, archive=True)
    awkward(stream)
    before = rows("ingest_event", stream)
    done = keep_retention()
    assert (ids(stream), done["archived"]) == ([], 4)
    (part,) = ArchivedPart.objects.all()
    assert part.path == f"stream={stream.name}/day={DAY.isoformat()}/part-0.parquet"
    assert (folder / part.path).stat().st_size == part.size_bytes
    assert (part.events, part.versions) == (4, [1, 3])
    assert part.first_at == start_of(DAY)
    restore = start_restore(stream, since=DAY, until=DAY, actor=SYSTEM)
    assert run_due_jobs() == 1
    restore.refresh_from_db()
    assert (restore.state, restore.events) == ("ready", 4)
    assert rows("ingest_restoredevent", stream) == before
    page = stored_events(SYSTEM, stream, restored=restore.pk)
    assert [event.id for event in page.items] == ["none", "text", "bytes", "numbers"]
    with pytest.raises(NotPermittedError):
        stored_events(make_actor(), stream, restored=restore.pk)
    with pytest.raises(NotFoundError):
        stored_events(SYSTEM, world.stream(), restored=restore.pk)
    archives.end_restore(stream, restore.pk, actor=SYSTEM)
    with pytest.raises(NotFoundError):
        stored_events(SYSTEM, stream, restored=restore.pk)
    keep_retention()
    assert not RestoredEvent.objects.exists()
    assert not Restore.objects.exists()


def test_without_pyarrow_nothing_goes_and_it_is_said(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, other = world.stream(retention_days=3, archive=True), world.stream(retention_days=3)
    awkward(stream)
    awkward(other)

    def missing() -> None:
        raise ArchiveError(archives.INSTALL)

    monkeypatch.setattr(archives, "parquet_module", missing)
    done = keep_retention()
    assert len(ids(stream)) == 4
    assert ids(other) == []
    assert done["days_held_back"] == 1
    assert "requirements-archive.lock" in done["held_back"]
    assert keep_retention()["days_held_back"] == 1


def test_a_file_that_does_not_read_as_written_lets_nothing_go(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = world.stream(retention_days=3, archive=True)
    awkward(stream)
    parquet = archives.parquet_module()
    monkeypatch.setattr(parquet, "content_of", lambda path: (4, "something else"))
    assert keep_retention()["days_held_back"] == 1
    assert len(ids(stream)) == 4
    assert not ArchivedPart.objects.exists()


def test_killed_between_two_files_the_next_run_goes_on_after_the_first(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = world.stream(retention_days=3, archive=True)
    awkward(stream)
    before = rows("ingest_event", stream)
    monkeypatch.setattr(archives, "BATCH", 1)
    monkeypatch.setattr(archives, "EVENTS_A_FILE", 3)
    parquet, original, calls = archives.parquet_module(), archives.parquet_module().write, 0

    def dies(*args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return original(*args)

    with monkeypatch.context() as patch:
        patch.setattr(parquet, "write", dies)
        with pytest.raises(KeyboardInterrupt):
            keep_retention()
    assert archives.archived_below(stream.pk, 1, DAY) == 0
    assert len(ids(stream)) == 4
    assert keep_retention()["archived"] == 1
    assert ids(stream) == []
    assert [part.events for part in ArchivedPart.objects.order_by("part")] == [3, 1]
    start_restore(stream, since=DAY, until=DAY, actor=SYSTEM)
    run_due_jobs()
    assert rows("ingest_restoredevent", stream) == before


def test_a_full_disk_holds_the_day_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = world.stream(retention_days=3, archive=True)
    awkward(stream)

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archives.parquet_module(), "write", full)
    assert "No space left" in keep_retention()["held_back"]
    assert len(ids(stream)) == 4


@pytest.mark.parametrize("step", ["write", "content_of", "file_sha256"])
def test_killed_while_it_writes_the_next_run_writes_it_whole(
    world: World, folder: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    stream = world.stream(retention_days=3, archive=True)
    awkward(stream)

    def die(*args: object) -> None:
        (folder / f"stream={stream.name}/day={DAY}/.part-0.parquet.unfinished").touch()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(archives.parquet_module(), step, die)
        with pytest.raises(KeyboardInterrupt):
            keep_retention()
    assert len(ids(stream)) == 4
    assert keep_retention()["archived"] == 4
    assert ids(stream) == []
    (part,) = ArchivedPart.objects.all()
    assert [path.name for path in (folder / part.path).parent.iterdir()] == ["part-0.parquet"]


def test_what_comes_after_the_first_file_gets_a_file_of_its_own(world: World) -> None:
    stream = world.stream(retention_days=300)
    awkward(stream)
    assert archive_day(life(stream), 1, DAY) == 4
    assert archive_day(life(stream), 1, DAY) == 0
    store(stream, start_of(DAY) + timedelta(hours=3), "late")
    assert archive_day(life(stream), 1, DAY) == 1
    assert [part.events for part in ArchivedPart.objects.order_by("part")] == [4, 1]
    start_restore(stream, since=DAY, until=DAY, actor=SYSTEM)
    run_due_jobs()
    assert RestoredEvent.objects.count() == 5


def test_large_days_are_cut_into_files(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = world.stream(retention_days=300)
    awkward(stream)
    monkeypatch.setattr(archives, "BATCH", 1)
    monkeypatch.setattr(archives, "EVENTS_A_FILE", 3)
    assert archive_day(life(stream), 1, DAY) == 4
    assert [part.events for part in ArchivedPart.objects.order_by("part")] == [3, 1]


def test_somebody_who_still_writes_into_a_day_holds_it_back(world: World) -> None:
    stream = world.stream(retention_days=300)
    awkward(stream)
    with connect() as other:
        other.execute("SELECT pg_current_xact_id()")
        store(stream, start_of(DAY) + timedelta(hours=3), "late")
        with pytest.raises(ArchiveError, match="still writes"):
            archive_day(life(stream), 1, DAY)
    assert archive_day(life(stream), 1, DAY) == 1


def test_a_corrupt_archive_is_refused(world: World, folder: Path) -> None:
    stream = world.stream(retention_days=300)
    awkward(stream)
    archive_day(life(stream), 1, DAY)
    part = ArchivedPart.objects.get()
    path = folder / part.path
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    start_restore(stream, since=DAY, until=DAY, actor=SYSTEM)
    run_due_jobs()
    assert Job.objects.get().state == "failed"
    assert "SHA-256 differs" in Job.objects.get().said
    assert not RestoredEvent.objects.exists()
    path.unlink()
    with pytest.raises(ArchiveError, match="cannot be read"):
        check_part(part)


def test_a_restore_needs_the_owner_a_span_and_an_archive(world: World) -> None:
    stream = world.stream(retention_days=300)
    with pytest.raises(NotPermittedError):
        start_restore(stream, since=DAY, until=DAY, actor=make_actor())
    with pytest.raises(InvalidError):
        start_restore(stream, since=DAY, until=DAY - timedelta(days=1), actor=SYSTEM)
    with pytest.raises(ConflictError, match="None of these days"):
        start_restore(stream, since=DAY, until=DAY, actor=SYSTEM)
