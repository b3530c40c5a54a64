"""What the log takes up, how it grows, and when what goes: facts that the keepers of storage left.

Sizes of days are asked of the file system and kept for a minute; events by stream are what the last
measure counted. Only what a shorter retention would let go is counted in the log, up to a bound.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from importlib.util import find_spec
from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet

from catalog.field_lives import lives_in, unreadable_in
from catalog.models import Stream
from catalog.selectors.streams import visible_streams
from governance.models import Job
from ingest.log import partitions
from ingest.log.connection import connect
from ingest.log.lives import DEAD_LETTER_DAYS, DEFAULT_DAYS, TRACK_OF, WORDS, days_ahead
from ingest.log.partitions import Leaf
from ingest.models import ArchivedPart, Restore, StorageDay, StorageRun, StorageStream
from portal.http.pagination import Page, paginate
from portal.kernel import clock, soft_cache, sql
from portal.kernel.actor import Actor
from portal.kernel.errors import NotFoundError, NotPermittedError

READERS: Final = ("on_call", "engineer")
DAYS_SHOWN: Final = 30
COUNTED: Final = 200_000
KINDS: Final = {
    "retention": "Lets go what has lived its time",
    "fields": "Takes fields out whose own life is over",
    "compact": "Keeps the newest of each key",
    "measure": "Looks at sizes",
}
_COUNT_BEFORE: Final = sql.load("ingest", "count_events_before")
_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Table:
    """One table of days. `per_day_bytes` is the mean of the last seven whole days; what it grows to
    if they go on like this is `expected_bytes`."""

    name: str
    size_bytes: int
    days: int
    oldest_on: date | None
    newest_on: date | None
    days_ahead: int
    per_day_bytes: int
    expected_bytes: int

    @property
    def is_short(self) -> bool:
        """Whether fewer days lie ahead than `partitions.FEWEST_AHEAD`, which is an alarm."""
        return self.days_ahead < partitions.FEWEST_AHEAD

    @property
    def title(self) -> str:
        return self.name.replace("_", " ").capitalize()


@dataclass(frozen=True, slots=True)
class Day:
    """One day over the tables, by their names."""

    day: date
    sizes: Mapping[str, int]

    @property
    def total_bytes(self) -> int:
        return sum(self.sizes.values())


@dataclass(frozen=True, slots=True)
class Storage:
    """The whole. `months` are like `days`, summed by month; both newest first. `growth` are the sizes
    of all tables by day of looking, oldest first. `going` is what goes on which of the next days."""

    tables: Sequence[Table]
    days: Sequence[Day]
    months: Sequence[Day]
    growth: Sequence[tuple[date, int]]
    going: Sequence[Mapping[str, Any]]
    is_archive_possible: bool

    @property
    def total_bytes(self) -> int:
        return sum(table.size_bytes for table in self.tables)

    @property
    def short(self) -> list[Table]:
        return [table for table in self.tables if table.is_short]


def require_reader(actor: Actor) -> None:
    """Admins, on-call and engineers look at storage."""
    if not (actor.is_admin or actor.has_role(*READERS)):
        raise NotPermittedError("Storage is looked at by admins, on-call and engineers.")


def storage(actor: Actor) -> Storage:
    """What the page shows, at most a minute old. Raises NotPermittedError."""
    require_reader(actor)
    found: Storage | None = soft_cache.get("storage")
    if found is None:
        found = _storage()
        soft_cache.put("storage", found, _SECONDS)
    return found


def _storage() -> Storage:
    with connect(autocommit=True) as link:
        leaves = {parent: partitions.leaves(link, parent) for parent in partitions.PARENTS}
    measured = StorageRun.objects.filter(kind="measure", failure="").exclude(finished_at=None)
    last = measured.order_by("-id").first()
    today = clock.now().date()
    growth: dict[date, int] = {}
    for row in StorageDay.objects.filter(day__gt=today - timedelta(days=90)).order_by("day"):
        growth[row.day] = growth.get(row.day, 0) + row.size_bytes
    every = [leaf for found in leaves.values() for leaf in found]
    return Storage(
        tables=[_table(parent, found, today) for parent, found in leaves.items()],
        days=_summed(every, lambda day: day, today)[:DAYS_SHOWN],
        months=_summed(every, lambda day: day.replace(day=1), today),
        growth=sorted(growth.items()),
        going=[
            one
            for one in (last.result.get("going", []) if last is not None else [])
            if one["on"] >= today.isoformat()
        ],
        is_archive_possible=find_spec("pyarrow") is not None,
    )


def _table(parent: str, leaves: Sequence[Leaf], today: date) -> Table:
    attached = [leaf for leaf in leaves if leaf.state == partitions.ATTACHED]
    days = [leaf.day for leaf in attached]
    week = [
        leaf.size_bytes for leaf in attached
        if timedelta(days=0) < today - leaf.day <= timedelta(days=7)
    ]  # fmt: skip
    per_day = sum(week) // len(week) if week else 0
    track = TRACK_OF.get(parent)
    return Table(
        name=WORDS[parent],
        size_bytes=sum(leaf.size_bytes for leaf in leaves),
        days=len(days),
        oldest_on=min(days, default=None),
        newest_on=max(days, default=None),
        days_ahead=days_ahead(days),
        per_day_bytes=per_day,
        expected_bytes=per_day * (DEFAULT_DAYS[track] if track is not None else DEAD_LETTER_DAYS),
    )


def _summed(leaves: Sequence[Leaf], unit: Any, today: date) -> list[Day]:
    sums: dict[date, dict[str, int]] = {}
    for leaf in leaves:
        if leaf.day <= today:
            sizes = sums.setdefault(unit(leaf.day), dict.fromkeys(WORDS.values(), 0))
            sizes[WORDS[leaf.parent]] += leaf.size_bytes
    return [Day(day, sums[day]) for day in sorted(sums, reverse=True)]


def sizes() -> dict[str, tuple[int, int]]:
    """By table: bytes and days ahead, for metrics; at most a minute old."""
    found: Storage | None = soft_cache.get("storage")
    if found is None:
        found = _storage()
        soft_cache.put("storage", found, _SECONDS)
    return {table.name: (table.size_bytes, table.days_ahead) for table in found.tables}


@dataclass(frozen=True, slots=True)
class Share:
    """One stream's part of the log."""

    stream: Stream
    events: int
    size_bytes: int
    oldest_on: date
    newest_on: date


def largest_streams(
    actor: Actor, *, limit: int | None = None, cursor: str | None = None
) -> Page[Share]:
    """A page of the streams that the actor may know of, the largest first."""
    require_reader(actor)
    rows = StorageStream.objects.filter(stream_id__in=visible_streams(actor).values("pk"))
    page = paginate(rows, order=("-size_bytes", "stream_id"), limit=limit, cursor=cursor)
    streams = Stream.objects.in_bulk([row.stream_id for row in page.items])
    return Page(
        [
            Share(streams[row.stream_id], row.events, row.size_bytes, row.oldest_on, row.newest_on)
            for row in page.items
        ],
        page.next,
    )


def archived_parts(actor: Actor, *, stream: Stream | None = None) -> QuerySet[ArchivedPart]:
    """Files of the archive, of streams that the actor may know of."""
    require_reader(actor)
    rows = ArchivedPart.objects.filter(stream_id__in=visible_streams(actor).values("pk"))
    return rows if stream is None else rows.filter(stream_id=stream.pk)


def last_runs() -> list[tuple[str, str, StorageRun | None]]:
    """Each keeper of storage with what it does and its newest run."""
    newest = StorageRun.objects.order_by("kind", "-id").distinct("kind")
    found = {row.kind: row for row in newest}
    return [(kind, said, found.get(kind)) for kind, said in KINDS.items()]


@dataclass(frozen=True, slots=True)
class Kept:
    """How long a stream is kept. `going` events (at most COUNTED) have lived `asked_days`, and would
    go if it were kept so long; `field_days` are lives of its fields in days."""

    stream: Stream
    asked_days: int
    going: int
    field_days: Sequence[int]
    unreadable: Sequence[str]
    archived_days: int
    is_archive_possible: bool

    @property
    def is_bounded(self) -> bool:
        """Whether there are more than were counted."""
        return self.going >= COUNTED


def kept(stream: Stream, *, days: int | None = None, is_counted: bool = True) -> Kept:
    """What a stream's life is, and what would go with another; `going` is 0 where it is not counted,
    which spares looking into each day of the log."""
    asked = days or stream.retention_days
    before = clock.now() - timedelta(days=asked)
    row = None
    if is_counted:
        place = {"stream_id": stream.pk, "before": before, "bound": COUNTED}
        row = sql.fetch_one(_COUNT_BEFORE, place)
    documents = list(
        stream.versions.filter(document__icontains="x-retention").values_list("document", flat=True)
    )
    return Kept(
        stream=stream,
        asked_days=asked,
        going=int(row["events"]) if row else 0,
        field_days=sorted({one for document in documents for one in lives_in(document)}),
        unreadable=sorted({one for document in documents for one in unreadable_in(document)}),
        archived_days=ArchivedPart.objects.filter(stream_id=stream.pk)
        .values("day").distinct().count(),
        is_archive_possible=find_spec("pyarrow") is not None,
    )  # fmt: skip


def restores_of(stream: Stream) -> list[Restore]:
    """Restores of a stream that have not ended, the newest first; one whose work has failed says why.

    That there are any is no secret of who knows the stream; to read them takes a grant.
    """
    rows = list(
        Restore.objects.filter(stream_id=stream.pk, expires_at__gt=clock.now()).order_by(
            "-created_at"
        )[:100]
    )
    jobs = Job.objects.filter(object_kind="restore", object_key__in=[str(row.pk) for row in rows])
    said = {job.object_key: job for job in jobs}
    for row in rows:
        job = said.get(str(row.pk))
        if job is not None and job.state in ("failed", "stopped"):
            row.state, row.said = "failed", job.said or "The work was stopped."
    return rows


def get_restore(stream: Stream, restore_id: UUID) -> Restore:
    """One of `restores_of`; NotFoundError for one that never was or has ended."""
    for row in restores_of(stream):
        if row.pk == restore_id:
            return row
    raise NotFoundError
