"""Keeping days ahead and sizes known: the alarm before a day is missing, the facts of the page."""

import time
from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from django.db import transaction
from psycopg.errors import QueryCanceled

from governance import audit
from governance.models import User
from governance.services.notices import News, tell
from governance.types import NoticeKind, ResourceRef, Role
from ingest.log import partitions
from ingest.log.connection import Connection, connect
from ingest.log.lives import ONE_DAY, TRACK_OF, ahead, lives, over_at
from ingest.log.partitions import Leaf, start_of
from ingest.models import StorageDay, StorageLeaf
from ingest.services.storage_runs import Run, begin, last_result
from portal.http import words
from portal.kernel import clock, jobs, sql
from portal.kernel.actor import SYSTEM, Actor
from portal.kernel.errors import NotPermittedError

_COUNT: Final = sql.load("ingest", "count_day_by_stream")
_BY_LIFE: Final = sql.load("ingest", "storage_by_life")
DAYS_SAID: Final = 14
_LONG_SECONDS: Final = 2.0
_SUM: Final = sql.load("ingest", "sum_storage_by_stream")


def make_ahead() -> int:
    """Make the standing window of days, and raise the alarm if too few are ahead all the same.

    As far back as a stream may still write, not further: what the sweep drops is not made again.
    """
    known = lives().values()
    back = max((life.days for life in known), default=partitions.DAYS_BACK)
    with connect(autocommit=True) as link:
        try:
            return partitions.make_window(link, days_back=min(back, partitions.DAYS_BACK))
        finally:
            _warn_of_few(ahead(link))


def _warn_of_few(days: Mapping[str, int]) -> None:
    """Tell admins, once a day, while fewer days are ahead than there should be."""
    few = {word: count for word, count in days.items() if count < partitions.FEWEST_AHEAD}
    if not few:
        return
    listed = words.listed(
        [f"{words.plural(count, 'day')} of {word.replace('_', ' ')}" for word, count in few.items()]
    )
    news = News(
        NoticeKind.ALARM_RAISED,
        ResourceRef("storage", "partitions"),
        "Days of the log run out",
        f"Only {listed} are made ahead. Events of a missing day wait until it is made.",
        "/ingest/storage/",
        f"few-days:{clock.now():%Y%m%d}",
    )
    admins = User.objects.filter(groups__name=Role.ADMIN, is_active=True)
    tell(admins.values_list("pk", flat=True), news, by=SYSTEM)


KEEPERS: Final = ("retention", "fields", "compact", "measure")


@transaction.atomic
def start_keeper(kind: str, *, actor: Actor) -> None:
    """Have a keeper of storage run now, by workers. NotPermittedError but for admins."""
    if not actor.is_admin:
        raise NotPermittedError("Storage is kept by admins.")
    audit.record(
        actor, "storage.run_wanted", ResourceRef("storage", kind), summary=f"runs {kind} now"
    )
    if kind == "retention":
        jobs.enqueue("ingest.keep_retention")
    elif kind == "fields":
        jobs.enqueue("ingest.expire_fields")
    elif kind == "compact":
        jobs.enqueue("ingest.compact_state")
    else:
        jobs.enqueue("ingest.measure_storage")


def measure_storage(*, budget_seconds: float = 100.0) -> Mapping[str, Any]:
    """Look at sizes, and count by stream what has changed since; the oldest look first.

    Raises BusyError while another keeper of storage runs.
    """
    with begin("measure", budget_seconds=budget_seconds) as run, connect(autocommit=True) as link:
        today = clock.now().date()
        changed: list[Leaf] = []
        for parent in partitions.PARENTS:
            leaves = partitions.leaves(link, parent)
            StorageDay.objects.update_or_create(
                parent=parent, day=today,
                defaults={"size_bytes": sum(leaf.size_bytes for leaf in leaves),
                          "leaves": len(leaves)},
            )  # fmt: skip
            changed += _changed(parent, leaves)
        for leaf in changed:
            if not run.has_time:
                break
            _measure(link, leaf, run)
        _sum_up(run, today)
    return run.result


def _sum_up(run: Run, today: date) -> None:
    """Put into sums what was counted. That goes through the counts of every day and stream, some
    millions at full size, so what takes long is done again only after a hundred times as long."""
    last = last_result("measure")
    took = float(last.get("summing_seconds", 0.0))
    began = time.time()
    if took >= _LONG_SECONDS and began - float(last["summed_at"]) < 100 * took:
        run.result |= {name: last[name] for name in ("going", "summed_at", "summing_seconds")}
        return
    sql.execute(_SUM)
    run.result["going"] = _going(today)
    run.result |= {"summed_at": began, "summing_seconds": round(time.time() - began, 3)}


def _going(today: date) -> list[dict[str, Any]]:
    """What goes on each of the next days: events by day of the run, and what they take up."""
    days: dict[date, list[float]] = {today + ONE_DAY * n: [0, 0] for n in range(DAYS_SAID)}
    for row in sql.fetch_all(_BY_LIFE, {"until": today + ONE_DAY * DAYS_SAID}):
        on = max(over_at(row["day"], row["days"]).date(), today)
        if on in days:
            days[on][0] += row["events"]
            days[on][1] += row["size_bytes"] or 0
    return [
        {"on": on.isoformat(), "events": int(events), "size_bytes": int(size)}
        for on, (events, size) in days.items()
    ]


def _changed(parent: str, leaves: list[Leaf]) -> list[Leaf]:
    """Leaves whose size is another than when they were looked at, the longest ago first."""
    seen = {row.day: row for row in StorageLeaf.objects.filter(parent=parent)}
    days = {leaf.day for leaf in leaves}
    StorageLeaf.objects.filter(parent=parent).exclude(day__in=days).delete()
    found = [
        leaf for leaf in leaves
        if leaf.day not in seen or seen[leaf.day].counted != _signature(leaf)
    ]  # fmt: skip
    return sorted(found, key=lambda leaf: _looked_at(seen.get(leaf.day)))


def _looked_at(row: StorageLeaf | None) -> float:
    return row.measured_at.timestamp() if row is not None and row.measured_at is not None else 0.0


def _signature(leaf: Leaf) -> str:
    return f"{leaf.size_bytes}/{leaf.n_rows}"


def _measure(link: Connection, leaf: Leaf, run: Run) -> None:
    streams: dict[str, int] = {}
    if leaf.parent in TRACK_OF:
        start = start_of(leaf.day)
        place = {"track": TRACK_OF[leaf.parent], "start": start, "end": start + ONE_DAY}
        try:
            streams = {str(one): int(events) for one, events in link.execute(_COUNT, place)}
        except QueryCanceled:  # too large for the worker's time: its size is known all the same
            run.add("leaves_not_counted", 1)
    StorageLeaf.objects.update_or_create(
        parent=leaf.parent, day=leaf.day,
        defaults={"counted": _signature(leaf), "size_bytes": leaf.size_bytes, "streams": streams,
                  "measured_at": clock.now()},
    )  # fmt: skip
    run.add("leaves_measured", 1)
    run.beat()
