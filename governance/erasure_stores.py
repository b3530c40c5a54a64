"""The stores of governance: what people wrote into its tables, and the vault.

What it keeps else names nobody: the audit log takes no personal value, answers that are kept for an
Idempotency-Key are sealed with that key, which the portal does not keep, and are gone after a day.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connection
from django.db.models import Model, Q

from governance.erasing import Collected, Sought, Swept
from governance.models import (
    AccessRequest,
    BreakGlass,
    Delegation,
    Job,
    Notice,
    PolicyFinding,
    PrivacyToken,
    Review,
    SavedView,
    Waiver,
)
from governance.models.jobs import LIVE
from governance.privacy import vault, whom

ERASED: Final = "erased"  # stands for a text that was taken out
_BATCH: Final = 500
_COUNTED: Final = 10_000


@dataclass(frozen=True, slots=True)
class Table:
    """One table: the columns that hold texts and JSON of people, and when a row was written."""

    model: type[Model]
    written: str
    texts: tuple[str, ...] = ()
    json: tuple[str, ...] = ()
    rows: Q | None = None

    @property
    def name(self) -> str:
        return str(self.model._meta.db_table)


TABLES: Final = (
    Table(AccessRequest, "updated_at", ("purpose", "decision_reason")),
    Table(BreakGlass, "taken_at", ("reason", "review")),
    Table(Delegation, "created_at", ("note",)),
    # What still runs needs its cursor; it is looked at when it has ended, by the next walk.
    Table(Job, "updated_at", ("said",), ("cursor",), ~Q(state__in=LIVE)),
    Table(Notice, "created_at", ("title", "sentence")),
    Table(PolicyFinding, "judged_at", ("detail",)),
    Table(Review, "opened_at", (), ("points", "snapshot")),
    Table(SavedView, "updated_at", ("name",), ("asked",)),
    Table(Waiver, "given_at", ("reason",)),
)
_BY_NAME: Final = {table.name: table for table in TABLES}


class Words:
    """What people wrote into requests, reviews, questions and the like, one table after the other."""

    key = "governance"
    name = "Requests, notices, saved questions and jobs"

    def size(self) -> int:
        return sum(about(table.model) for table in TABLES)

    def erase(self, sought: Sought, cursor: Mapping[str, Any]) -> Swept:
        table, rows, then = _next_rows(cursor)
        cleared = sum(self._clear(row, table, sought) for row in rows)
        return Swept(then, looked_at=len(rows), cleared=cleared)

    def _clear(self, row: Any, table: Table, sought: Sought) -> int:
        written: datetime = getattr(row, table.written)
        changed: dict[str, Any] = {}
        taken = 0
        for column in table.texts:
            if _is_meant(getattr(row, column), sought, written):
                # Names of questions are their owner's once: two of them must not meet.
                changed[column] = f"{ERASED} {row.pk}" if column == "name" else ERASED
                taken += 1
        for column in table.json:
            kept, n = _without(getattr(row, column), sought, written)
            if n:
                changed[column] = kept
                taken += n
        if changed:
            type(row)._default_manager.filter(pk=row.pk).update(**changed)
        return taken

    def collect(self, sought: Sought, cursor: Mapping[str, Any]) -> Collected:
        table, rows, then = _next_rows(cursor)
        items = tuple(item for row in rows for item in _found(row, table, sought))
        return Collected(then, looked_at=len(rows), items=items)


def _next_rows(cursor: Mapping[str, Any]) -> tuple[Table, list[Any], dict[str, Any] | None]:
    """The rows after the cursor, by the primary key, and the cursor after them."""
    table = _BY_NAME[cursor.get("table", TABLES[0].name)]
    rows = table.model._default_manager.filter(table.rows or Q()).order_by("pk")
    if "after" in cursor:
        rows = rows.filter(pk__gt=cursor["after"])
    found: list[Any] = list(rows[:_BATCH])
    if len(found) == _BATCH:
        return table, found, {"table": table.name, "after": str(found[-1].pk)}
    place = TABLES.index(table) + 1
    return table, found, {"table": TABLES[place].name} if place < len(TABLES) else None


def _found(row: Any, table: Table, sought: Sought) -> Iterator[Mapping[str, Any]]:
    columns = [name for name in table.texts if sought.until(getattr(row, name)) is not None]
    columns += [name for name in table.json if _names(getattr(row, name), sought)]
    if columns:
        yield {
            "table": table.name,
            "id": str(row.pk),
            "written_at": getattr(row, table.written),
            **{name: getattr(row, name) for name in columns},
        }


def _without(value: Any, sought: Sought, moment: datetime) -> tuple[Any, int]:
    """JSON of a shape that others read, with a word in place of each value that names somebody who
    was erased at `moment` or later; and how many that took. Members that are named so go."""
    if isinstance(value, dict):
        kept = {
            name: _without(item, sought, moment)
            for name, item in value.items()
            if not _is_meant(name, sought, moment)
        }
        taken = len(value) - len(kept) + sum(n for _, n in kept.values())
        return {name: left for name, (left, _) in kept.items()}, taken
    if isinstance(value, list):
        found = [_without(item, sought, moment) for item in value]
        return [left for left, _ in found], sum(n for _, n in found)
    return (ERASED, 1) if _is_meant(value, sought, moment) else (value, 0)


def _is_meant(value: object, sought: Sought, moment: datetime) -> bool:
    until = sought.until(value)
    return until is not None and moment <= until


def _names(value: Any, sought: Sought) -> bool:
    """Whether JSON names somebody who is sought."""
    if isinstance(value, dict):
        return any(sought.until(name) or _names(item, sought) for name, item in value.items())
    if isinstance(value, list):
        return any(_names(item, sought) for item in value)
    return sought.until(value) is not None


class Vault:
    """Data keys of subjects, and tokens by what they stand for. Each token is opened and compared."""

    key = "vault"
    name = "Vault of keys and tokens"

    def size(self) -> int:
        return about(PrivacyToken)

    def erase(self, sought: Sought, cursor: Mapping[str, Any]) -> Swept:
        after = bytes.fromhex(cursor.get("after", ""))
        erased = 0
        if not after and sought.clear:
            refs = sorted({vault.subject_ref(text) for text in sought.clear})
            latest = max(sought.marks.values())
            erased += whom.destroy_keys(refs, made_until=latest + whom.SETTLE)
        page = whom.page_of_tokens(sought, after)
        for one in page.found:
            erased += whom.delete_tokens([one.ref], made_until=one.until + whom.SETTLE)
        then = {"after": page.last.hex()} if page.last is not None else None
        return Swept(then, looked_at=page.looked_at, erased=erased)

    def collect(self, sought: Sought, cursor: Mapping[str, Any]) -> Collected:
        page = whom.page_of_tokens(sought, bytes.fromhex(cursor.get("after", "")))
        refs = [one.ref for one in page.found]
        rows = PrivacyToken.objects.filter(ref__in=refs).order_by("created_at")
        items = tuple(
            {"token": row.token, "purpose": row.purpose, "made_at": row.created_at} for row in rows
        )
        then = {"after": page.last.hex()} if page.last is not None else None
        return Collected(then, looked_at=page.looked_at, items=items)


def about(model: type[Model]) -> int:
    """About how many rows a table has; small ones are counted."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT reltuples::bigint FROM pg_class WHERE oid = %s::regclass",
            [model._meta.db_table],
        )
        (estimate,) = cursor.fetchone()
    if estimate > _COUNTED:
        return int(estimate)
    return model._default_manager.order_by()[: _COUNTED + 1].count()
