"""Days of a stream as files, before they leave the log; and back, to be read once more.

Writing a day, so that a kill anywhere loses nothing:

1. The transactions to write are fixed: from where the last file of the day ended to below the oldest
   that still runs. Nothing is added to that set any more.
2. Its events go into files, each under a temporary name first, forced to the disk and read back: count
   and content must agree. Then it gets its name, and the folder is forced too.
3. A row writes down that the file exists, and where it ends. After the last file all of the day below
   that transaction is in the archive, and may be deleted from the log: not before.

Killed anywhere, the next run goes on after the last file that was written down. A file that no row came
to name is written over by it, or removed by an erasure (`ingest.erasing.strays`).
"""

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Max

from catalog.models import Stream
from governance import access, audit, tombstones
from governance.job_kinds import Step
from governance.models import Job
from governance.services.jobs import start_job
from governance.types import Permission, ResourceRef
from ingest.judging import erased
from ingest.log.lives import ONE_DAY, Life
from ingest.log.partitions import start_of
from ingest.models import ArchivedPart, Restore
from ingest.services.storage_runs import Run
from ingest.times import moment_of
from portal.kernel import clock, sql
from portal.kernel.actor import Actor
from portal.kernel.errors import ConflictError, FieldError, InvalidError, NotFoundError
from portal.kernel.failpoints import failpoint

EVENTS_A_FILE: Final = 200_000
BATCH: Final = 500
RESTORE: Final = "restore"
MAX_RESTORED_DAYS: Final = 92
MAX_KEPT_DAYS: Final = 90
INSTALL: Final = (
    "The archive needs pyarrow: `.venv/bin/python -m pip install --require-hashes -r "
    "requirements-archive.lock` on every machine that runs workers."
)
_READ: Final = sql.load("ingest", "read_for_archive")
_HAS: Final = sql.load("ingest", "has_events_of_day")
_OLDEST_RUNNING: Final = sql.load("ingest", "oldest_running")


class ArchiveError(ConflictError):
    """A day cannot be archived, or an archive not be read."""

    code = "archive"
    title = "The archive does not do"


def archived_below(stream_id: int, track: int, day: date) -> int:
    """The transaction below which everything of a stream's day is in the archive."""
    whole = ArchivedPart.objects.filter(stream_id=stream_id, track=track, day=day, is_last=True)
    return int(whole.aggregate(below=Max("below_tx"))["below"] or 0)


def archive_day(life: Life, track: int, day: date, run: Run | None = None) -> int:
    """Write what of a stream's day is not in the archive yet; gives how many events.

    Raises ArchiveError when it cannot be done, or somebody still writes into that day.
    """
    start = start_of(day)
    place = {"track": track, "stream_id": life.stream_id, "start": start, "end": start + ONE_DAY}
    since = archived_below(life.stream_id, track, day)
    if sql.fetch_one(_HAS, place | {"from_tx": since}) is None:
        return 0
    parquet = parquet_module()
    folder = root_folder() / f"stream={life.name}" / f"day={day.isoformat()}"
    _make_folder(folder)
    written = ArchivedPart.objects.filter(stream_id=life.stream_id, day=day)
    begun = written.filter(track=track, from_tx=since).order_by("part")
    last = begun.last()
    below = last.below_tx if last is not None else _oldest_running()
    count = 0
    groups = _groups(track, life.stream_id, day, since, below, last, run)
    for group in groups:
        if run is not None and not run.has_time:
            raise ArchiveError(f"{day} of {life.name} is archived in part; the next run goes on.")
        part = ArchivedPart(
            stream_id=life.stream_id, stream_name=life.name, day=day, track=track,
            part=written.count(), from_tx=since, below_tx=below,
        )  # fmt: skip
        try:
            _write(parquet, folder, part, group, groups, run)
        except OSError as error:
            raise ArchiveError(f"{folder} cannot be written: {error.strerror}.") from error
        count += part.events
    final = begun.last()
    if final is not None:
        ArchivedPart.objects.filter(pk=final.pk).update(is_last=True)
    if sql.fetch_one(_HAS, place | {"from_tx": below}) is not None:
        raise ArchiveError(f"Somebody still writes into {day} of {life.name}.")
    return count


def _oldest_running() -> int:
    row = sql.fetch_one(_OLDEST_RUNNING)
    assert row is not None
    return int(row["tx"])


def _write(
    parquet: ModuleType,
    folder: Path,
    part: ArchivedPart,
    first: list[Any],
    more: Iterator[list[Any]],
    run: Run | None,
) -> None:
    """Write one file, read it back, and only then give it its name and write down that it is there.

    Raises BusyError, and leaves no file, when the run was taken for dead meanwhile: another may be
    writing it, or has tidied up behind it.
    """
    name = f"part-{part.part}.parquet"
    unfinished, whole = folder / f".{name}.unfinished", folder / name
    try:
        _fill(parquet, unfinished, part, _Tally(), first, more)
        part.path = str(whole.relative_to(root_folder()))
        with transaction.atomic():
            if run is not None:
                run.hold()
            unfinished.rename(whole)
            force_folder(folder)
            failpoint("archive.file_named")
            part.save()
    finally:
        unfinished.unlink(missing_ok=True)


def _fill(
    parquet: ModuleType,
    unfinished: Path,
    part: ArchivedPart,
    tally: "_Tally",
    first: list[Any],
    more: Iterator[list[Any]],
) -> None:
    """Write the events, and say of the file what its row does."""
    part.events, part.content_sha256 = parquet.write(unfinished, tally.watch(first, more))
    failpoint("archive.file_written")
    if parquet.content_of(unfinished) != (part.events, part.content_sha256):
        raise ArchiveError(f"File {part.part} of {part.day} does not read as it was written.")
    part.size_bytes = unfinished.stat().st_size
    part.sha256 = parquet.file_sha256(unfinished)
    part.versions = sorted(tally.versions)
    part.first_at, part.last_at, part.last_id = tally.first, tally.last, tally.last_id


class _Tally:
    """What a manifest says of the events of one file."""

    def __init__(self) -> None:
        self.versions: set[int] = set()
        self.first: datetime = datetime.max.replace(tzinfo=UTC)
        self.last: datetime = datetime.min.replace(tzinfo=UTC)
        self.last_id = ""

    def watch(self, first: list[Any], more: Iterator[list[Any]]) -> Iterator[list[Any]]:
        """The groups of one file, up to its size, seen on their way."""
        group: list[Any] | None = first
        count = 0
        while group:
            for row in group:
                at, version = row[2], row[6]
                self.first, self.last = min(self.first, at), max(self.last, at)
                if version is not None:
                    self.versions.add(version)
            self.last_id = group[-1][3]
            count += len(group)
            yield group
            group = next(more, None) if count < EVENTS_A_FILE else None


def _groups(
    track: int,
    stream_id: int,
    day: date,
    since: int,
    below: int,
    last: ArchivedPart | None,
    run: Run | None,
) -> Iterator[list[tuple[Any, ...]]]:
    """The events to write after those of the last file, some at a time; each read is a transaction
    of its own."""
    at, name = (last.last_at, last.last_id) if last is not None else (start_of(day), "")
    while True:
        with connection.cursor() as cursor:
            cursor.execute(_READ, {
                "track": track, "stream_id": stream_id, "after_at": at, "after_id": name,
                "end": start_of(day) + ONE_DAY, "from_tx": since, "below_tx": below,
                "batch": BATCH,
            })  # fmt: skip
            rows = cursor.fetchall()
        if rows:
            at, name = rows[-1][2], rows[-1][3]
            yield rows
        if len(rows) < BATCH:
            return
        if run is not None:
            run.beat()


def parquet_module() -> ModuleType:
    """What reads and writes the files. Raises ArchiveError where pyarrow is not installed."""
    try:
        from ingest.log import parquet  # noqa: PLC0415  # pyarrow is an extra
    except ImportError as error:
        raise ArchiveError(INSTALL) from error
    return parquet


def root_folder() -> Path:
    """The folder that the paths of files begin at."""
    return Path(settings.ARCHIVE_DIR)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(".*.unfinished"):
            left.unlink()
    except OSError as error:
        raise ArchiveError(f"{folder} cannot be written: {error.strerror}.") from error


def force_folder(folder: Path) -> None:
    """A new name is only sure to be there after a crash once its folder is on the disk."""
    for place in (folder, folder.parent, folder.parent.parent):
        descriptor = os.open(place, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def day_of(text: str) -> date:
    """A date out of a form. Raises InvalidError for what is none."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InvalidError(
            "That is no date.", errors=[FieldError("", "date", "no date")]
        ) from error


@transaction.atomic
def start_restore(
    stream: Stream, *, since: date, until: date, actor: Actor, days: int = 7
) -> Restore:
    """Load archived days (both belong to it) to be read for a number of days; workers do it.

    Raises InvalidError for a bad span, ConflictError when nothing of it is in the archive.
    """
    access.require(actor, Permission.EDIT, stream)
    if until < since or until - since >= timedelta(days=MAX_RESTORED_DAYS):
        raise InvalidError(
            "The span is not one.",
            errors=[FieldError("/until", "range", f"1 to {MAX_RESTORED_DAYS} days")],
        )
    parts = parts_of(stream.pk, since, until)
    if not parts:
        raise ConflictError("None of these days is in the archive.", code="not_archived")
    now = clock.now()
    restore = Restore.objects.create(
        stream_id=stream.pk,
        since=since,
        until=until,
        created_at=now,
        created_by=actor.label,
        expires_at=now + timedelta(days=days),
    )
    start_job(
        RESTORE, ResourceRef(RESTORE, str(restore.pk)), actor=actor,
        title=f"Restore {since} to {until} of {stream.name}", owner_team_id=stream.owner_team_id,
        cursor={"part": 0, "group": 0}, track=stream.track,
    )  # fmt: skip
    audit.record(
        actor, "stream.restored", stream.ref,
        summary=f"restores {since} to {until} of {stream.name} from the archive",
        after={"since": since.isoformat(), "until": until.isoformat(), "days": days},
    )  # fmt: skip
    return restore


@transaction.atomic
def end_restore(stream: Stream, restore_id: UUID, *, actor: Actor) -> None:
    """Let what was restored go with the next sweep; from now on nobody reads it."""
    access.require(actor, Permission.EDIT, stream)
    live = Restore.objects.filter(pk=restore_id, stream_id=stream.pk, expires_at__gt=clock.now())
    if not live.update(expires_at=clock.now()):
        raise NotFoundError
    audit.record(
        actor, "stream.restore_ended", stream.ref, summary=f"ended a restore of {stream.name}"
    )


def parts_of(stream_id: int, since: date, until: date) -> list[ArchivedPart]:
    """The files of some days, in their order."""
    rows = ArchivedPart.objects.filter(stream_id=stream_id, day__gte=since, day__lte=until)
    return list(rows.order_by("day", "part"))


def restore_step(job: Job) -> Step:
    """Load one row group of one file. A file that is not what was written down fails the work."""
    restore = Restore.objects.get(pk=UUID(job.object_key))
    parts = parts_of(restore.stream_id, restore.since, restore.until)
    total = sum(part.events for part in parts)
    number, group = int(job.cursor["part"]), int(job.cursor["group"])
    if number >= len(parts):
        Restore.objects.filter(pk=restore.pk).update(state="ready")
        return Step(job.cursor, job.done, total, f"{job.done} events can be read", is_finished=True)
    parquet, part = parquet_module(), parts[number]
    path = root_folder() / part.path
    if group == 0:
        check_part(part)
    rows = parquet.read_group(path, group)
    loaded = _load(restore, rows)
    Restore.objects.filter(pk=restore.pk).update(events=restore.events + loaded)
    is_last = group + 1 >= parquet.group_count(path)
    cursor = {"part": number + 1, "group": 0} if is_last else {"part": number, "group": group + 1}
    return Step(cursor, job.done + len(rows), total, f"{part.day} is loaded")


def check_part(part: ArchivedPart) -> None:
    """Raises ArchiveError when a file is not there, or not what was written down."""
    parquet, path = parquet_module(), root_folder() / part.path
    try:
        found = parquet.file_sha256(path)
    except OSError as error:
        raise ArchiveError(f"{part.path} cannot be read: {error.strerror}.") from error
    if found != part.sha256:
        raise ArchiveError(f"{part.path} is not the file that was written: its SHA-256 differs.")


_COLUMNS: Final = (
    "stream_id, track, occurred_at, event_id, received_at, producer_id, version, subject, source,"
    " attributes, data, data_base64, extra, content_hash, marks, tx, seq"
)
_COPY: Final = f"COPY ingest_restoredevent (restore_id, {_COLUMNS}) FROM STDIN"


def _load(restore: Restore, rows: list[tuple[Any, ...]]) -> int:
    """Put rows where restored events are read, without those about somebody who was erased meanwhile;
    gives how many."""
    if tombstones.any_erased():
        rows = [row for row in rows if not erased.is_row_refused(row[7], row[9], row[2])]
    with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        for row in rows:
            values = list(row)
            values[2], values[4] = moment_of(values[2]), moment_of(values[4])
            copy.write_row([restore.pk, *values])
    return len(rows)
