"""Daily partitions of events (by track) and of dead letters: made ahead of time, taken away after.

There is no default partition: attaching beside one needs a full scan under an exclusive lock. The
whole lateness window and 14 days ahead exist before an event can need them; what an import or a
stream with a longer window reaches is made when the first such event comes.

A leaf leaves in two steps, so that nobody waits: `detach` takes it out of its parent concurrently
(who reads it now reads on), `drop_detached` asks once more whether it may go, under the lock of the
makers, and drops it or puts it back. Killed between the two, it lies beside its parent; the next run
finds it, and a writer that needs its day before that puts it back. A leaf without a row goes in one
short step (`drop_empty`), because there a writer may still come.
"""

import random
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import psycopg
from psycopg import errors, sql

from portal.kernel import clock
from portal.kernel.failpoints import failpoint

DAYS_BACK: Final = 31
DAYS_AHEAD: Final = 14
EVENT_PARENTS: Final = {0: "ingest_event_production", 1: "ingest_event_experimental"}
DEAD_LETTERS: Final = "ingest_dead_letter"
PARENTS: Final = (*EVENT_PARENTS.values(), DEAD_LETTERS)
# Names one lock for all makers of partitions; released at the end of the transaction.
_LOCK: Final = 0x9A2D1E57
_LEAF: Final = re.compile(r"_([0-9]{4})([0-9]{2})([0-9]{2})$")
# Fewer days ahead than this are an alarm.
FEWEST_AHEAD: Final = 3
# How long an exclusive lock may be waited for, as whoever comes after waits behind it; how often.
_LOCK_WAIT: Final = "100ms"
_TRIES: Final = 20
_BUSY: Final = (errors.LockNotAvailable, errors.DeadlockDetected, errors.QueryCanceled)

Connection = psycopg.Connection[Any]
MayGo = Callable[[Connection, str], bool]


def leaf_name(parent: str, day: date) -> str:
    return f"{parent}_{day:%Y%m%d}"


def make_window(
    connection: Connection, *, days_back: int = DAYS_BACK, days_ahead: int = DAYS_AHEAD
) -> int:
    """Make what is missing of the standing window around today; gives the number made."""
    today = clock.now().date()
    days = [today + timedelta(days=offset) for offset in range(-days_back, days_ahead + 1)]
    made, _ = _make(connection, EVENT_PARENTS.values(), days)
    return made + _make(connection, [DEAD_LETTERS], [day for day in days if day >= today])[0]


def make_days(connection: Connection, parents: Iterable[str], days: Iterable[date]) -> int:
    """Make the missing leaves of some days under some parents; gives the number made.

    A leaf is built on its own and then attached, so that the parent is never locked against
    readers and writers. Several processes may call this at once. A day that was detached and not
    dropped is put back. Raises psycopg.OperationalError for one that is being detached right now.
    """
    made, leaving = _make(connection, parents, days)
    if leaving:
        raise psycopg.OperationalError(f"{leaving[0]} is being taken away")
    return made


def _make(
    connection: Connection, parents: Iterable[str], days: Iterable[date]
) -> tuple[int, list[str]]:
    """How many leaves were made, and which are being detached right now."""
    days = list(days)
    leaving: list[str] = []
    wanted = {leaf_name(parent, day): (parent, day) for parent in parents for day in days}
    made = 0
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        rows = connection.execute(_STATES, (list(wanted),)).fetchall()
        states = {str(name): str(state) for name, state in rows}
        for name in sorted(wanted):
            state = states.get(name)
            if state is None:
                _make_leaf(connection, *wanted[name])
                made += 1
            elif state == DETACHED:
                _attach(connection, *wanted[name])
                made += 1
            elif state == DETACHING:
                leaving.append(name)
        failpoint("partitions.before_commit")
    return made, leaving


ATTACHED: Final = "attached"
DETACHING: Final = "detaching"
DETACHED: Final = "detached"
_STATES: Final = """
SELECT relname, CASE WHEN inhdetachpending THEN 'detaching' WHEN relispartition THEN 'attached'
                     ELSE 'detached' END
FROM pg_class LEFT JOIN pg_inherits ON inhrelid = pg_class.oid
WHERE relname = ANY(%s) AND relkind = 'r' AND relnamespace = current_schema()::regnamespace
"""
_LEAVES: Final = """
SELECT relname, CASE WHEN inhdetachpending THEN 'detaching' WHEN relispartition THEN 'attached'
                     ELSE 'detached' END,
       pg_total_relation_size(pg_class.oid), greatest(reltuples, 0)::bigint
FROM pg_class LEFT JOIN pg_inherits ON inhrelid = pg_class.oid
WHERE relname ~ %s AND relkind = 'r' AND relnamespace = current_schema()::regnamespace
ORDER BY relispartition AND NOT coalesce(inhdetachpending, false), right(relname, 8)
"""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One day of one parent. `size_bytes` is with its indexes; `n_rows` what the planner thinks."""

    parent: str
    day: date
    state: str
    size_bytes: int
    n_rows: int

    @property
    def end(self) -> datetime:
        """The first moment after it."""
        return start_of(self.day + timedelta(days=1))


def start_of(day: date) -> datetime:
    """The first moment of a day in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def leaves(connection: Connection, parent: str) -> list[Leaf]:
    """What there is of a parent: first what is on its way out, then the rest, oldest first.

    Sizes are asked of the file system: for 400 days some tens of milliseconds.
    """
    rows = connection.execute(_LEAVES, (f"^{parent}_[0-9]{{8}}$",)).fetchall()
    return [
        Leaf(parent, _day_of(str(name)), str(state), int(size), int(rows_))
        for name, state, size, rows_ in rows
    ]


def detach(connection: Connection, parent: str, day: date, *, tries: int = _TRIES) -> bool:
    """Take a leaf out of its parent without holding anybody up; whether it is out.

    Needs a connection in autocommit. False when somebody reads the parent all the time; what was
    begun goes on next time. Until then its rows are gone for whoever begins to read now.
    """
    names = {"parent": sql.Identifier(parent), "leaf": sql.Identifier(leaf_name(parent, day))}
    concurrently = sql.SQL("ALTER TABLE {parent} DETACH PARTITION {leaf} CONCURRENTLY")
    finalize = sql.SQL("ALTER TABLE {parent} DETACH PARTITION {leaf} FINALIZE")
    with _waiting_briefly(connection):
        for attempt in range(tries):
            state = _state(connection, parent, day)
            if state not in (ATTACHED, DETACHING):
                return state == DETACHED
            statement = concurrently if state == ATTACHED else finalize
            try:
                connection.execute(statement.format(**names))
            except _BUSY:
                _pause(attempt, tries)
            except errors.ObjectNotInPrerequisiteState:
                return False  # another leaf is being detached; one at a time
            else:
                return True
    return _state(connection, parent, day) == DETACHED


def drop_detached(connection: Connection, parent: str, day: date, may_go: MayGo) -> bool:
    """Drop a detached leaf, if `may_go` (asked with the table's name, in the same transaction) says
    so once more; otherwise put it back. Whether it is gone."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        if _state(connection, parent, day) != DETACHED:
            return False  # a writer put it back meanwhile
        name = leaf_name(parent, day)
        if not may_go(connection, name):
            _attach(connection, parent, day)
            return False
        connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name)))
        return True


def drop_empty(connection: Connection, parent: str, day: date, *, tries: int = _TRIES) -> bool:
    """Drop a leaf that has no row, looked at under the lock that keeps writers out; whether it went.

    Each try holds new writers up for at most a tenth of a second.
    """
    leaf, over = sql.Identifier(leaf_name(parent, day)), sql.Identifier(parent)
    for attempt in range(tries):
        try:
            with connection.transaction():
                connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(_LOCK_WAIT))
                connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
                if _state(connection, parent, day) != ATTACHED or _has_rows(connection, leaf):
                    return False
                connection.execute(
                    sql.SQL("LOCK TABLE ONLY {} IN ACCESS EXCLUSIVE MODE").format(over)
                )
                if _has_rows(connection, leaf):
                    return False
                connection.execute(sql.SQL("DROP TABLE {}").format(leaf))
                return True
        except _BUSY:
            _pause(attempt, tries)
    return False


def last_transactions(connection: Connection, name: str) -> list[tuple[int, int]]:
    """Each stream in a leaf (by the table's name, attached or not) with its newest transaction.

    Two probes of its indexes a stream, however many events it has.
    """
    rows = connection.execute(
        sql.SQL(
            "WITH RECURSIVE found AS ("
            " (SELECT stream_id FROM {leaf} ORDER BY stream_id LIMIT 1) UNION ALL"
            " SELECT (SELECT later.stream_id FROM {leaf} AS later"
            "  WHERE later.stream_id > found.stream_id ORDER BY later.stream_id LIMIT 1)"
            " FROM found WHERE found.stream_id IS NOT NULL)"
            " SELECT stream_id, (SELECT tx::text::bigint FROM {leaf} AS newest"
            "  WHERE newest.stream_id = found.stream_id ORDER BY tx DESC, seq DESC LIMIT 1)"
            " FROM found WHERE stream_id IS NOT NULL"
        ).format(leaf=sql.Identifier(name))
    ).fetchall()
    return [(int(stream), int(tx)) for stream, tx in rows]


def _has_rows(connection: Connection, leaf: sql.Identifier) -> bool:
    return (
        connection.execute(sql.SQL("SELECT 1 FROM {} LIMIT 1").format(leaf)).fetchone() is not None
    )


@contextmanager
def _waiting_briefly(connection: Connection) -> Iterator[None]:
    """Within the block locks are waited for briefly; the connection's own limit comes back."""
    row = connection.execute("SELECT current_setting('lock_timeout')").fetchone()
    before = str(row[0]) if row else "0"
    connection.execute(sql.SQL("SET lock_timeout = {}").format(_LOCK_WAIT))
    try:
        yield
    finally:
        connection.execute(sql.SQL("SET lock_timeout = {}").format(before))


def _pause(attempt: int, tries: int) -> None:
    if attempt < tries - 1:
        time.sleep(random.uniform(0.05, 0.4))  # noqa: S311  # jitter


def _state(connection: Connection, parent: str, day: date) -> str | None:
    row = connection.execute(_STATES, ([leaf_name(parent, day)],)).fetchone()
    return str(row[1]) if row else None


def _day_of(name: str) -> date:
    found = _LEAF.search(name)
    assert found is not None
    return date(int(found[1]), int(found[2]), int(found[3]))


def refresh_statistics(connection: Connection, day: date) -> None:
    """Let the planner look at the events of a day now, not when autovacuum comes round.

    After a bulk load this turned the analysis of an experiment from a minute into a second.
    """
    for parent in EVENT_PARENTS.values():
        leaf = sql.Identifier(leaf_name(parent, day))
        connection.execute(sql.SQL("ANALYZE {}").format(leaf))


def _make_leaf(connection: Connection, parent: str, day: date) -> None:
    parts = {"leaf": sql.Identifier(leaf_name(parent, day)), "parent": sql.Identifier(parent)}
    connection.execute(sql.SQL("CREATE TABLE {leaf} (LIKE {parent} INCLUDING ALL)").format(**parts))
    failpoint("partitions.after_create")
    _attach(connection, parent, day)


def _attach(connection: Connection, parent: str, day: date) -> None:
    """Make a table a leaf. The check spares a scan under the parent's lock; a leaf that was
    detached concurrently brings one along, under another name."""
    leaf = sql.Identifier(leaf_name(parent, day))
    column = sql.Identifier("received_at" if parent == DEAD_LETTERS else "occurred_at")
    start, end = (
        sql.Literal(f"{day.isoformat()}T00:00:00Z"),
        sql.Literal(f"{(day + timedelta(days=1)).isoformat()}T00:00:00Z"),
    )
    parts = {"leaf": leaf, "parent": sql.Identifier(parent), "column": column}
    connection.execute(
        sql.SQL(
            "ALTER TABLE {leaf} ADD CONSTRAINT attach_check"
            " CHECK ({column} >= {start}::timestamptz AND {column} < {end}::timestamptz)"
        ).format(**parts, start=start, end=end)
    )
    connection.execute(
        sql.SQL(
            "ALTER TABLE {parent} ATTACH PARTITION {leaf} FOR VALUES FROM ({start}) TO ({end})"
        ).format(**parts, start=start, end=end)
    )
    failpoint("partitions.after_attach")
    connection.execute(sql.SQL("ALTER TABLE {leaf} DROP CONSTRAINT attach_check").format(**parts))


def existing_days(connection: Connection, parent: str) -> list[date]:
    """The days that have a leaf under a parent, oldest first."""
    rows = connection.execute(
        "SELECT child.relname FROM pg_inherits"
        " JOIN pg_class child ON child.oid = inhrelid"
        " JOIN pg_class parent ON parent.oid = inhparent"
        " WHERE parent.relname = %s AND NOT inhdetachpending",
        (parent,),
    ).fetchall()
    found = (_LEAF.search(str(row[0])) for row in rows)
    return sorted(date(int(m[1]), int(m[2]), int(m[3])) for m in found if m is not None)
