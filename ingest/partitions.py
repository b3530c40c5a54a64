"""Daily partitions of events (by track) and of dead letters, made ahead of time.

There is no default partition: attaching beside one needs a full scan under an exclusive lock. The
whole lateness window and 14 days ahead exist before an event can need them; what an import or a
stream with a longer window reaches is made when the first such event comes.
"""

import re
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any, Final

import psycopg
from psycopg import sql

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

Connection = psycopg.Connection[Any]


def leaf_name(parent: str, day: date) -> str:
    return f"{parent}_{day:%Y%m%d}"


def make_window(
    connection: Connection, *, days_back: int = DAYS_BACK, days_ahead: int = DAYS_AHEAD
) -> int:
    """Make what is missing of the standing window around today; gives the number made."""
    today = clock.now().date()
    days = [today + timedelta(days=offset) for offset in range(-days_back, days_ahead + 1)]
    made = make_days(connection, EVENT_PARENTS.values(), days)
    return made + make_days(connection, [DEAD_LETTERS], [day for day in days if day >= today])


def make_days(connection: Connection, parents: Iterable[str], days: Iterable[date]) -> int:
    """Make the missing leaves of some days under some parents; gives the number made.

    A leaf is built on its own and then attached, so that the parent is never locked against
    readers and writers. Several processes may call this at once.
    """
    wanted = {leaf_name(parent, day): (parent, day) for parent in parents for day in days}
    made = 0
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        rows = connection.execute(
            "SELECT relname FROM pg_class WHERE relname = ANY(%s) AND relispartition",
            (list(wanted),),
        ).fetchall()
        for name in sorted(set(wanted) - {str(row[0]) for row in rows}):
            _make_leaf(connection, *wanted[name])
            made += 1
        failpoint("partitions.before_commit")
    return made


def refresh_statistics(connection: Connection, day: date) -> None:
    """Let the planner look at the events of a day now, not when autovacuum comes round.

    After a bulk load this turned the analysis of an experiment from a minute into a second.
    """
    for parent in EVENT_PARENTS.values():
        leaf = sql.Identifier(leaf_name(parent, day))
        connection.execute(sql.SQL("ANALYZE {}").format(leaf))


def _make_leaf(connection: Connection, parent: str, day: date) -> None:
    leaf = sql.Identifier(leaf_name(parent, day))
    column = sql.Identifier("received_at" if parent == DEAD_LETTERS else "occurred_at")
    start, end = (
        sql.Literal(f"{day.isoformat()}T00:00:00Z"),
        sql.Literal(f"{(day + timedelta(days=1)).isoformat()}T00:00:00Z"),
    )
    parts = {"leaf": leaf, "parent": sql.Identifier(parent), "column": column}
    connection.execute(sql.SQL("CREATE TABLE {leaf} (LIKE {parent} INCLUDING ALL)").format(**parts))
    failpoint("partitions.after_create")
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
        " WHERE parent.relname = %s",
        (parent,),
    ).fetchall()
    found = (_LEAF.search(str(row[0])) for row in rows)
    return sorted(date(int(m[1]), int(m[2]), int(m[3])) for m in found if m is not None)
