"""The store of archived days: files of events, written again without what was erased.

1. A file is gone through group by group. Where nothing is found it stays as it is.
2. Otherwise it is written again under a new name, beside the old one, forced to the disk and read back.
   Its row names the new file in the transaction of the step; the old one goes after the commit.
3. Killed before the commit, the new file is written once more; killed after it, the old one is found by
   its name and removed when the walk comes by again.
4. At the end, while no keeper of storage is at work, files go that no row names (`ingest.erasing.strays`).
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from django.db import transaction
from django.db.models import Sum

from governance.erasing import Collected, Sought, Swept
from governance.whole_values import Names
from ingest.erasing import strays
from ingest.erasing.judging import Judge, Row, Verdict
from ingest.erasing.showing import items_of
from ingest.erasing.strays import NAME, parts_of, remove_file
from ingest.erasing.walking import BUDGET_SECONDS, MOST_ITEMS
from ingest.models import ArchivedPart, StorageRun
from ingest.services.archives import (
    ArchiveError,
    check_part,
    force_folder,
    parquet_module,
    root_folder,
)
from ingest.services.storage_runs import BusyError, begin
from ingest.times import moment_of
from portal.kernel.failpoints import failpoint

logger = logging.getLogger(__name__)
STRAYS: Final = "strays"  # the run in which files go that no row names
_PAUSE_SECONDS: Final = 1.0


class Archives:
    """Archived files, in the order in which they were made. A cursor names one, the next of its groups,
    and those in which something was found."""

    key = "archives"
    name = "Archived days"

    def size(self) -> int:
        """Exact: the files say how many events they hold."""
        return int(ArchivedPart.objects.aggregate(n=Sum("events"))["n"] or 0)

    def erase(self, sought: Sought, cursor: Mapping[str, Any]) -> Swept:
        """As `Store.erase`; the step that writes a full file again takes some seconds.

        Raises ArchiveError without pyarrow, and for a file that is not the one that was written.
        """
        judge = Judge(Names(sought))
        deadline = time.monotonic() + BUDGET_SECONDS
        found = Swept(cursor)
        while found.cursor is not None:
            found = _plus(found, _some(judge, found.cursor, deadline))
            if time.monotonic() >= deadline:
                break
        return found

    def collect(self, sought: Sought, cursor: Mapping[str, Any]) -> Collected:
        """As `Store.collect`."""
        judge = Judge(Names(sought))
        deadline = time.monotonic() + BUDGET_SECONDS
        part, number = int(cursor.get("part", 0)), int(cursor.get("group", 0))
        looked_at = 0
        items: list[Mapping[str, Any]] = []
        while (row := _part_from(part)) is not None:
            number = number if row.pk == part else 0
            part = row.pk
            if number == 0:
                check_part(row)
            for at, rows in _groups(row, number):
                looked_at += len(rows)
                items += items_of(rows, judge.verdicts(rows))
                if time.monotonic() >= deadline or len(items) >= MOST_ITEMS:
                    return Collected({"part": part, "group": at + 1}, looked_at, tuple(items))
            part, number = row.pk + 1, 0
        return Collected(None, looked_at, tuple(items))


def _plus(one: Swept, more: Swept) -> Swept:
    return Swept(
        more.cursor,
        one.looked_at + more.looked_at,
        one.erased + more.erased,
        one.cleared + more.cleared,
    )


def _some(judge: Judge, cursor: Mapping[str, Any], deadline: float) -> Swept:
    """Go on with a file: look through groups until the deadline; after the last, write it again."""
    part = _part_from(int(cursor.get("part", 0)))
    if part is None:
        return _end(cursor, deadline)
    is_same = part.pk == cursor.get("part") and part.path == cursor.get("path")
    first = int(cursor.get("group", 0)) if is_same else 0
    found = list(cursor.get("found", ())) if is_same else []
    if first == 0:
        part = _put_in_order(part)
        check_part(part)
    looked_at = 0
    number = first - 1
    for number, rows in _groups(part, first):
        looked_at += len(rows)
        if any(one.goes or one.changes for one in judge.verdicts(rows)):
            found.append(number)
        if time.monotonic() >= deadline:
            break
    count = parquet_module().group_count(root_folder() / part.path)
    if number + 1 < count:
        at = {"part": part.pk, "path": part.path, "group": number + 1, "found": found}
        return Swept(at, looked_at)
    erased, cleared = _write_again(part, frozenset(found), judge) if found else (0, 0)
    return Swept({"part": part.pk + 1}, looked_at, erased, cleared)


def _end(cursor: Mapping[str, Any], deadline: float) -> Swept:
    """Remove what no row names; through, unless a keeper of storage is at work: what it archives just
    now was read before the erasure took it out of the log."""
    after = int(cursor.get("part", 0))
    try:
        with begin(STRAYS):
            if _part_from(after) is not None:  # it came between the last file and this
                return Swept({"part": after})
            swept, gone = strays.remove_some(str(cursor.get("swept", "")), deadline)
        # It is no work of a schedule, by which the state of the portal is told.
        StorageRun.objects.filter(kind=STRAYS).delete()
    except BusyError:
        time.sleep(_PAUSE_SECONDS)
        return Swept({"part": after})
    return Swept(None if swept is None else {"part": after, "swept": swept}, erased=gone)


def _part_from(number: int) -> ArchivedPart | None:
    return ArchivedPart.objects.filter(pk__gte=number).order_by("pk").first()


def _groups(part: ArchivedPart, first: int) -> Iterator[tuple[int, list[Row]]]:
    """The groups of a file from one on, their rows as the judge takes them."""
    parquet = parquet_module()
    path = root_folder() / part.path
    for number in range(first, parquet.group_count(path)):
        yield number, [_row(parquet, values) for values in parquet.read_group(path, number)]


def _row(parquet: ModuleType, values: Sequence[Any]) -> Row:
    row = dict(zip(parquet.COLUMNS, values, strict=True))
    for name in ("occurred_at", "received_at"):
        row[name] = moment_of(row[name])
    return row


def _write_again(part: ArchivedPart, found: frozenset[int], judge: Judge) -> tuple[int, int]:
    """Write a file without what was found in some groups; gives how many events and values that were."""
    parquet = parquet_module()
    with transaction.atomic():
        held = ArchivedPart.objects.select_for_update().get(pk=part.pk)
        if held.path != part.path:  # another erasure wrote it again: the next walk looks into that
            return 0, 0
        tally = _Tally(parquet, judge, found)
        old = root_folder() / held.path
        new = old.with_name(_next_name(old.name))
        unfinished = old.with_name(f".{new.name}.erasing")
        try:
            events, content = parquet.rewrite(old, unfinished, tally.left_of)
            if parquet.content_of(unfinished) != (events, content):
                raise ArchiveError(f"{new.name} of {held.day} does not read as it was written.")
            held.size_bytes, held.sha256 = (
                unfinished.stat().st_size,
                parquet.file_sha256(unfinished),
            )
            unfinished.rename(new)
            force_folder(new.parent)
        except OSError as error:
            raise ArchiveError(f"{new.parent} cannot be written: {error.strerror}.") from error
        failpoint("erasing.archive_written")
        held.path = str(new.relative_to(root_folder()))
        held.events, held.content_sha256 = events, content
        if tally.last_id_goes(held.last_id):
            held.last_id = tally.last_id
        held.save()
        transaction.on_commit(lambda: remove_file(old))
    return tally.erased, tally.cleared


class _Tally:
    """What is left of a file's rows, and how much was taken out."""

    def __init__(self, parquet: ModuleType, judge: Judge, found: frozenset[int]) -> None:
        self._parquet, self._judge, self._found = parquet, judge, found
        self.erased = self.cleared = 0
        self.last_id = ""
        self._gone: set[str] = set()

    def left_of(self, number: int, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        left = rows
        if number in self._found:
            verdicts = self._judge.verdicts([_row(self._parquet, values) for values in rows])
            left = [
                self._changed(values, verdict)
                for values, verdict in zip(rows, verdicts, strict=True)
                if not verdict.goes
            ]
            self.erased += len(rows) - len(left)
            self._gone |= {
                values[3] for values, one in zip(rows, verdicts, strict=True) if one.goes
            }
        if left:
            self.last_id = left[-1][3]
        return left

    def _changed(self, values: tuple[Any, ...], verdict: Verdict) -> tuple[Any, ...]:
        if verdict.changes is None:
            return values
        self.cleared += verdict.count
        names = self._parquet.COLUMNS
        return tuple(
            verdict.changes.get(name, value) for name, value in zip(names, values, strict=True)
        )

    def last_id_goes(self, last_id: str) -> bool:
        """Whether the row names an event that is gone as the last one. The one before it is the last
        then: what lay between is in no log any more."""
        return last_id in self._gone


def _next_name(name: str) -> str:
    part, generation = parts_of(name)
    return f"part-{part}.{generation + 1}.parquet"


def _put_in_order(part: ArchivedPart) -> ArchivedPart:
    """Have one file under a row, and give the row: what a crash left beside it is removed, the file
    before it and one that no row came to name.

    Where the row's own file is gone and a later one is there, the database is a restored one and the
    files are not: the row takes that file. Only while nobody else writes this file again.
    """
    with transaction.atomic():
        held = ArchivedPart.objects.select_for_update().get(pk=part.pk)
        path = root_folder() / held.path
        number, _ = parts_of(path.name)
        found = [one for one in path.parent.glob(f"part-{number}.*") if NAME.fullmatch(one.name)]
        if path not in found and found:
            path = max(found, key=lambda one: parts_of(one.name)[1])
            _take(held, path)
        for other in found:
            if other != path:
                remove_file(other)
        for unfinished in path.parent.glob(f".part-{number}.*.erasing"):
            remove_file(unfinished)
        return held


def _take(held: ArchivedPart, path: Path) -> None:
    """Have a row name the file that an erasure made of its own, before the database was restored."""
    parquet = parquet_module()
    held.events, held.content_sha256 = parquet.content_of(path)
    held.size_bytes, held.sha256 = path.stat().st_size, parquet.file_sha256(path)
    held.path = str(path.relative_to(root_folder()))
    held.save()
    logger.warning("an archived day is read from the file of an erasure: %s", held.path)
