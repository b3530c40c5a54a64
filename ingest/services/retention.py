"""The hourly sweep: what has lived its time leaves, without holding up who writes or reads.

For each day of each track, oldest first (the words are those of `ingest.log.lives`):

1. A leaf that no stream may write into, and of which nothing has to be archived first, is detached
   and dropped whole.
2. In any other, the rows of streams whose life in it is over are deleted some thousands at a time.
3. What asks for an archive is archived before; while that cannot be done its rows stay, and it is
   said so.
4. A leaf that is left empty behind the standing window is dropped.

Each step is a transaction of its own, and what it leaves behind says what is still to do: a sweep that
is killed anywhere is gone on with by the next. The application's clock is compared with the database's
first: one that runs ahead must not cost a year of events.
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from psycopg.rows import dict_row

from ingest.log import partitions
from ingest.log.alive import letters_alive_since
from ingest.log.connection import Connection, connect
from ingest.log.lives import (
    DEAD_LETTER_DAYS,
    EXPERIMENTAL,
    ONE_DAY,
    PRODUCTION,
    Life,
    Swept,
    keepers,
    life_in,
    lives,
)
from ingest.log.partitions import Leaf, start_of
from ingest.models import IngestMinute, Restore, RestoredEvent, StorageLeaf
from ingest.services import archives
from ingest.services.storage_runs import Run, begin, forget_old_runs, last_result
from portal.kernel import clock, sql
from portal.kernel.errors import UnavailableError

logger = logging.getLogger(__name__)
BATCH: Final = 5_000
AT_ONCE: Final = 50  # streams of a day
SLOTS_KEPT: Final = timedelta(days=2)
MINUTES_KEPT: Final = timedelta(days=92)
HOURS_KEPT: Final = timedelta(days=400)
CLOCKS_APART: Final = timedelta(minutes=2)
TRACKS: Final = (PRODUCTION, EXPERIMENTAL)
ANY_TX: Final = str(2**63 - 1)
_EXPIRE: Final = sql.load("ingest", "expire_events")
_EXPIRE_MANY: Final = sql.load("ingest", "expire_many")
_STREAMS_OF_DAY: Final = sql.load("ingest", "streams_of_day")
_FORGET_LEDGER: Final = sql.load("ingest", "forget_ledger")
_FORGET_COUNTS: Final = sql.load("ingest", "forget_letter_counts")
_FORGET_TOTALS: Final = sql.load("ingest", "forget_letter_totals")
_THIN: Final = sql.load("ingest", "thin_accounts")
_THIN_REFUSALS: Final = sql.load("ingest", "thin_refusals")


def keep_retention(*, budget_seconds: float = 150.0) -> Mapping[str, Any]:
    """Let go what has lived its time, until the budget is spent; gives what was done.

    `is_finished` is false when the next run has to go on. Raises BusyError while another runs.
    """
    with begin("retention", budget_seconds=budget_seconds) as run, connect(autocommit=True) as link:
        check_clock(link)
        sweep = _Sweep(link, run)
        sweep.events()
        sweep.dead_letters()
        sweep.ledger()
        sweep.restores()
        sweep.accounts()
        forget_old_runs()
        run.result["is_finished"] = run.has_time
    return run.result


def check_clock(link: Connection) -> None:
    """Raises UnavailableError when this machine and the database do not agree on the time."""
    row = link.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    apart = abs(datetime.now(UTC) - row[0])
    if apart > CLOCKS_APART:
        raise UnavailableError(
            f"The clocks of this machine and the database are {apart} apart; nothing is let go."
        )


class _Sweep:
    def __init__(self, link: Connection, run: Run) -> None:
        self.link = link
        self.run = run
        self.now = clock.now()
        self.known = lives()

    def events(self) -> None:
        """Let go what has lived its time, leaf by leaf of both tracks, while the run has time."""
        names = Swept(self.known, self.now)
        before = {(row.parent, row.day): row.swept for row in StorageLeaf.objects.exclude(swept="")}
        for track in TRACKS:
            parent = partitions.EVENT_PARENTS[track]
            for leaf in partitions.leaves(self.link, parent):
                if not self.run.has_time:
                    return
                name = names.of(leaf.day)
                if leaf.state != partitions.ATTACHED:  # a run before this one ended in between
                    self._drop(track, leaf)
                elif name and before.get((parent, leaf.day)) != name:
                    self._leaf(track, leaf, name)

    def _leaf(self, track: int, leaf: Leaf, name: str) -> None:
        self.run.beat()
        over, is_mixed = [], False
        for stream_id in streams_of_day(self.link, track, leaf.day):
            life = life_in(self.known, stream_id, track)
            if life.is_over(leaf.day, self.now):
                over.append(life)
            else:
                is_mixed = True
        held = [life for life in over if life.archive and not self._archive(life, track, leaf.day)]
        if not held and not is_mixed and not keepers(
            self.known.values(), track, leaf.day, self.now
        ):  # fmt: skip
            self._drop(track, leaf)
            return
        gone = [life for life in over if life not in held]
        is_whole = self._delete_all(gone, track, leaf.day) and not held
        if not is_whole:
            return
        if not is_mixed and leaf.day < self.now.date() - timedelta(days=partitions.DAYS_BACK):
            if partitions.drop_empty(self.link, leaf.parent, leaf.day):
                self._forget(leaf)
                self.run.add("leaves_dropped", 1)
            return
        StorageLeaf.objects.update_or_create(
            parent=leaf.parent, day=leaf.day, defaults={"swept": name}
        )

    def _archive(self, life: Life, track: int, day: date) -> bool:
        """Whether all of a stream's day is in the archive now."""
        try:
            self.run.add("archived", archives.archive_day(life, track, day, self.run))
        except archives.ArchiveError as error:
            logger.warning("%s of %s is not archived: %s", day, life.name, error.detail)
            self.run.add("days_held_back", 1)
            self.run.result["held_back"] = error.detail
            return False
        return True

    def _delete_all(self, gone: Sequence[Life], track: int, day: date) -> bool:
        """Delete a day of some streams; whether all of it is gone.

        Of those without an archive many go at once, as most streams have few events a day and a
        statement for each took longer than its work; who has more is gone on with alone.
        """
        by_id = {life.stream_id: life for life in gone}
        alone = [life.stream_id for life in gone if life.archive]
        many = [life.stream_id for life in gone if not life.archive]
        for first in range(0, len(many), AT_ONCE):
            if not self.run.has_time:
                return False
            row = fetch_one(self.link, _EXPIRE_MANY, {
                "track": track, "streams": many[first : first + AT_ONCE], "start": start_of(day),
                "end": start_of(day) + ONE_DAY, "most": BATCH // AT_ONCE,
            })  # fmt: skip
            assert row is not None
            self.run.add("events_deleted", row["deleted"])
            alone += row["more"]
            self.run.beat()
        return all(self._delete(by_id[stream_id], track, day) for stream_id in alone)

    def _delete(self, life: Life, track: int, day: date) -> bool:
        """Delete a stream's day in steps; whether all of it is gone."""
        below = str(archives.archived_below(life.stream_id, track, day)) if life.archive else ANY_TX
        place: dict[str, Any] = {"after_at": start_of(day), "after_id": ""}
        while self.run.has_time:
            row = fetch_one(self.link, _EXPIRE, {
                **place, "track": track, "stream_id": life.stream_id, "below_tx": below,
                "end": start_of(day) + ONE_DAY, "batch": BATCH,
            })  # fmt: skip
            assert row is not None
            self.run.add("events_deleted", row["deleted"])
            if row["last_at"] is None:
                return True
            place = {"after_at": row["last_at"], "after_id": row["last_id"]}
            self.run.beat()
        return False

    def _drop(self, track: int, leaf: Leaf) -> None:
        if not partitions.detach(self.link, leaf.parent, leaf.day):
            self.run.add("leaves_busy", 1)
            return
        if partitions.drop_detached(self.link, leaf.parent, leaf.day, self._may_go(track, leaf)):
            self._forget(leaf)
            self.run.add("leaves_dropped", 1)

    def _may_go(self, track: int, leaf: Leaf) -> partitions.MayGo:
        """Asks once more, of the detached table: settings may have changed, and who was writing
        when it was detached has committed."""

        def may_go(link: Connection, name: str) -> bool:
            known = lives()
            for stream_id, last_tx in partitions.last_transactions(link, name):
                life = life_in(known, stream_id, track)
                if not life.is_over(leaf.day, self.now):
                    return False
                if life.archive and last_tx >= archives.archived_below(stream_id, track, leaf.day):
                    return False
            return True

        return may_go

    def _forget(self, leaf: Leaf) -> None:
        StorageLeaf.objects.filter(parent=leaf.parent, day=leaf.day).delete()

    def dead_letters(self) -> None:
        """Drop whole days of dead letters; what they hold is unreadable since they are 30 days old."""
        parent = partitions.DEAD_LETTERS
        self.link.execute(_FORGET_TOTALS, {"before": letters_alive_since()})
        self.link.execute(_FORGET_COUNTS, {"before": letters_alive_since().date()})
        for leaf in partitions.leaves(self.link, parent):
            if leaf.end + timedelta(days=DEAD_LETTER_DAYS) > self.now or not self.run.has_time:
                return
            self.run.beat()
            if partitions.detach(self.link, parent, leaf.day) and partitions.drop_detached(
                self.link, parent, leaf.day, lambda _link, _name: True
            ):
                self._forget(leaf)
                self.run.add("dead_letter_days_dropped", 1)

    def ledger(self) -> None:
        """Delete claims of identities that have expired, while the run has time."""
        while self.run.has_time:
            gone = self.link.execute(_FORGET_LEDGER, {"batch": BATCH}).rowcount
            self.run.add("claims_forgotten", gone)
            if gone < BATCH:
                return
            self.run.beat()

    def restores(self) -> None:
        """Take back what was restored and has had its time."""
        for restore in Restore.objects.filter(expires_at__lte=self.now):
            while self.run.has_time:
                rows = RestoredEvent.objects.filter(restore_id=restore.pk)
                places = list(
                    rows.order_by("occurred_at").values_list("occurred_at", "event_id")[:BATCH]
                )
                if not places:
                    restore.delete()
                    break
                rows.filter(occurred_at__lte=max(places)[0]).delete()
                self.run.beat()

    def accounts(self) -> None:
        """Thin the accounts: the slots of a minute into one after two days, by the hour after three
        months, by the day after 400 days.

        Nothing is dropped: counters that only rise are sums over all of them.
        """
        done = last_result("retention")
        first = IngestMinute.objects.order_by("minute").values_list("minute", flat=True).first()
        hour = timedelta(hours=1)
        for unit, kept, step in (
            ("hour", MINUTES_KEPT, hour),
            ("day", HOURS_KEPT, ONE_DAY),
            ("minute", SLOTS_KEPT, hour),
        ):
            until = (self.now - kept).date()
            said = done.get(f"accounts_by_{unit}_until")
            day = date.fromisoformat(said) if said else first.date() if first else until
            while day < until and self.run.has_time:
                for number in range(ONE_DAY // step):
                    start = start_of(day) + number * step
                    stretch = {"start": start, "end": start + step, "unit": unit}
                    self.link.execute(_THIN, stretch)
                    if unit != "minute":  # those have no slots
                        self.link.execute(_THIN_REFUSALS, stretch)
                    self.run.beat()
                day += ONE_DAY
            self.run.result[f"accounts_by_{unit}_until"] = min(day, until).isoformat()


def streams_of_day(link: Connection, track: int, day: date) -> list[int]:
    """The streams that have events in a day of a track."""
    start = start_of(day)
    rows = link.execute(_STREAMS_OF_DAY, {"track": track, "start": start, "end": start + ONE_DAY})
    return [int(row[0]) for row in rows]


def fetch_one(
    link: Connection, statement: sql.Statement, params: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The first row by its columns, None without one; on a connection beside the ORM's."""
    with link.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(statement, params).fetchone()
