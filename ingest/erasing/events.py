"""The stores of events: the log, day by day over both tracks, and what was restored to be read again."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import psycopg
from django.db import connection

from governance.erasing import Collected, Sought, Swept
from ingest.erasing import walking
from ingest.erasing.judging import Judge, Row, Verdict
from ingest.erasing.walking import Stretch, columns_of
from ingest.log import partitions
from ingest.log.connection import connect
from ingest.log.partitions import start_of
from ingest.models import RestoredEvent
from portal.kernel import sql
from portal.kernel.errors import UnavailableError

_FIRST: Final = datetime(1, 1, 1, tzinfo=UTC)
_WALK: Final = sql.load("ingest", "walk_events")
_SOUGHT: Final = sql.load("ingest", "sought_events")
_HOLD: Final = sql.load("ingest", "hold_event")
_CLEAR: Final = sql.load("ingest", "clear_event")
_ERASE: Final = sql.load("ingest", "erase_events")
_SIZE: Final = sql.load("ingest", "size_of_log")
_WALK_RESTORED: Final = sql.load("ingest", "walk_restored")
_SOUGHT_RESTORED: Final = sql.load("ingest", "sought_restored")
_CLEAR_RESTORED: Final = sql.load("ingest", "clear_restored")
_ERASE_RESTORED: Final = sql.load("ingest", "erase_restored")


class Events:
    """The log. A cursor names the track, the day and the last event that was looked at."""

    key = "events"
    name = "Stored events"

    def size(self) -> int:
        """As the planner last counted."""
        return size_of(partitions.EVENT_PARENTS.values())

    def erase(self, sought: Sought, cursor: Mapping[str, Any]) -> Swept:
        """As `Store.erase`. Days that were on their way out are put back first, so that nothing lies
        beside the log. Raises UnavailableError while that cannot be done."""
        if not cursor:
            put_back(partitions.EVENT_PARENTS.values())
        return walking.erase(_read, sought, cursor, _change)

    def collect(self, sought: Sought, cursor: Mapping[str, Any]) -> Collected:
        """As `Store.collect`."""
        return walking.collect(_read, sought, cursor)


class Restored:
    """Events that were loaded from the archive, of all restores. A cursor names the last one."""

    key = "restored_events"
    name = "Events restored from the archive"

    def size(self) -> int:
        """Exact: there are few restores at a time."""
        return RestoredEvent.objects.count()

    def erase(self, sought: Sought, cursor: Mapping[str, Any]) -> Swept:
        """As `Store.erase`."""
        return walking.erase(_read_restored, sought, cursor, _change_restored)

    def collect(self, sought: Sought, cursor: Mapping[str, Any]) -> Collected:
        """As `Store.collect`."""
        return walking.collect(_read_restored, sought, cursor)


def size_of(parents: Iterable[str]) -> int:
    """About how many rows partitioned tables have."""
    found = sql.fetch_one(_SIZE, {"parents": list(parents)})
    return int(found["n_rows"]) if found is not None else 0


def put_back(parents: Iterable[str]) -> None:
    """Attach days that retention had taken out and not dropped; it takes them out again.

    Raises UnavailableError while one is being taken away.
    """
    try:
        with connect(autocommit=True) as link:
            for parent in parents:
                for leaf in partitions.leaves(link, parent):
                    if leaf.state == partitions.DETACHING:
                        partitions.detach(link, parent, leaf.day)
                    if leaf.state != partitions.ATTACHED:
                        partitions.make_days(link, [parent], [leaf.day])
    except psycopg.OperationalError as error:
        raise UnavailableError("A day of the log is being taken away just now.") from error


def _read(cursor: Mapping[str, Any], batch: int, texts: list[str] | None) -> Stretch:
    place = _place_of(cursor)
    if place is None:
        return None, 0, ()
    track, day, after = place
    start = start_of(day)
    leaf = {
        "track": track, "start": start, "end": start + timedelta(days=1), "after_stream": after[0],
        "after_at": after[1], "after_id": after[2],
    }  # fmt: skip
    end = sql.fetch_one(_WALK, {**leaf, "batch": batch})
    if end is None:
        return _next_leaf(track, day), 0, ()
    to = (end["holder"], end["occurred_at"], end["event_id"])
    rows = sql.fetch_all(
        _SOUGHT, {**leaf, "to_stream": to[0], "to_at": to[1], "to_id": to[2], "texts": texts}
    )
    if end["looked_at"] < batch:
        return _next_leaf(track, day), end["looked_at"], rows
    after_it = {"track": track, "day": day.isoformat(), "after": _spelled(to)}
    return after_it, end["looked_at"], rows


def _place_of(cursor: Mapping[str, Any]) -> tuple[int, date, tuple[int, datetime, str]] | None:
    """Track, day and the last event that was looked at; None where the log has no day."""
    if not cursor:
        first = _next_leaf(0, None)
        if first is None:
            return None
        cursor = first
    holder, at, name = cursor["after"]
    return (
        int(cursor["track"]),
        date.fromisoformat(cursor["day"]),
        (int(holder), datetime.fromisoformat(at), str(name)),
    )


def _next_leaf(track: int, day: date | None) -> dict[str, Any] | None:
    """The beginning of the next day that there is, of the next track after the last; None: the end."""
    with connection.cursor():  # so that there is a connection
        link = connection.connection
    assert isinstance(link, psycopg.Connection)
    for number, parent in sorted(partitions.EVENT_PARENTS.items()):
        if number < track:
            continue
        days = partitions.existing_days(link, parent)
        later = [one for one in days if number > track or day is None or one > day]
        if later:
            after = _spelled((-1, _FIRST, ""))
            return {"track": number, "day": later[0].isoformat(), "after": after}
    return None


def _spelled(place: tuple[Any, datetime, str]) -> list[Any]:
    holder, at, name = place
    return [str(holder), at.isoformat(), name]


def _change(found: Sequence[tuple[Row, Verdict]], judge: Judge) -> tuple[int, int]:
    gone = [row for row, verdict in found if verdict.goes]
    erased = 0
    if gone:
        start = start_of(gone[0]["occurred_at"].astimezone(UTC).date())
        erased = sql.execute(
            _ERASE,
            {"track": gone[0]["track"], "start": start, "end": start + timedelta(days=1)}
            | _identities(gone),
        )
    cleared = 0
    for row, verdict in found:
        if verdict.goes:
            continue
        held = sql.fetch_one(_HOLD, row)
        if held is None:  # retention was faster
            continue
        (again,) = judge.verdicts([held])
        if again.changes is not None:
            sql.execute(_CLEAR, columns_of(held, again))
            cleared += again.count
    return erased, cleared


def _read_restored(cursor: Mapping[str, Any], batch: int, texts: list[str] | None) -> Stretch:
    holder, at, name = cursor.get("after") or _spelled((UUID(int=0), _FIRST, ""))
    after = {"after_restore": holder, "after_at": datetime.fromisoformat(at), "after_id": name}
    end = sql.fetch_one(_WALK_RESTORED, {**after, "batch": batch})
    if end is None:
        return None, 0, ()
    to = (end["holder"], end["occurred_at"], end["event_id"])
    rows = sql.fetch_all(
        _SOUGHT_RESTORED,
        {**after, "to_restore": to[0], "to_at": to[1], "to_id": to[2], "texts": texts},
    )
    is_last = end["looked_at"] < batch
    return (None if is_last else {"after": _spelled(to)}), end["looked_at"], rows


def _change_restored(found: Sequence[tuple[Row, Verdict]], judge: Judge) -> tuple[int, int]:
    gone = [row for row, verdict in found if verdict.goes]
    erased = sql.execute(_ERASE_RESTORED, _identities(gone)) if gone else 0
    cleared = 0
    for row, verdict in found:
        if verdict.changes is not None:
            sql.execute(_CLEAR_RESTORED, columns_of(row, verdict))
            cleared += verdict.count
    return erased, cleared


def _identities(rows: Sequence[Row]) -> dict[str, list[Any]]:
    return {
        "holders": [row["holder"] for row in rows],
        "times": [row["occurred_at"] for row in rows],
        "ids": [row["event_id"] for row in rows],
    }
