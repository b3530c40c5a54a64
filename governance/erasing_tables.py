"""A store of columns in which a value of somebody may lie though nothing there is about them.

Requests, reports, drafts, learned distributions, contracts: rows that stay. JSON is gone through row by row; of
columns of text each different value is looked at once. A row whose text names a thing by somebody's
identifier goes whole.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connection
from django.db.models import JSONField, Model, Q, QuerySet, TextField, Value
from django.db.models.functions import Cast

from governance.erasing import Collected, Sought, Swept
from governance.whole_values import GONE, Names, read_exact, taken_out, words_in, write_exact

BUDGET_SECONDS: Final = 1.2
ROWS: Final = 50
_STEPS: Final = re.compile(r"[./\[\]]+")  # between the names of a path
TEXTS: Final = 2_000
ERASED: Final = "erased"  # stands for a text that was taken out
_COUNTED: Final = 10_000
# Which places of a document are looked at, by their pointer.
Where = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `at` names the one that says when the row came to be: later rows are not meant. It is
    never one that moves with a change of the row, whose content may be older.

    `names_a_thing`: the row goes. `in_parts`: a part of a text counts as well (a step of a path).
    `is_text`: JSON is kept as text. `is_plain`: text that is no JSON. `is_unique`: no two rows have the
    same. `is_guarded`: the database changes it for an erasure alone. `only`: which rows are looked at.
    `keeps_places`: null stands in arrays where a value was. `instead` stands where any was, in JSON
    that others read by its shape.
    """

    model: type[Model]
    name: str
    at: str = ""
    names_a_thing: bool = False
    in_parts: bool = False
    is_text: bool = False
    is_plain: bool = False
    is_unique: bool = False
    is_guarded: bool = False
    keeps_places: bool = True
    instead: Any = GONE
    where: Where | None = None
    only: Q | None = None

    @property
    def rows(self) -> QuerySet[Any]:
        """The rows that are looked at."""
        return self.model._default_manager.filter(self.only or Q())


class Tables:
    """A store of several columns. A cursor names the column's place in the list, and the last row."""

    def __init__(self, key: str, name: str, columns: Sequence[Column]) -> None:
        self.key, self.name = key, name
        self.columns = tuple(columns)

    def size(self) -> int:
        """As the planner last counted, for each column; small tables are counted."""
        return sum(about(column.model) for column in self.columns)

    def erase(self, sought: Sought, cursor: Mapping[str, Any]) -> Swept:
        """As `Store.erase`."""
        names = Names(sought)
        deadline = time.monotonic() + BUDGET_SECONDS
        number, after = _place_of(cursor)
        looked_at = erased = cleared = 0
        while number < len(self.columns):
            column = self.columns[number]
            step = _things if column.names_a_thing else _documents
            after, count, gone, values = step(column, names, after)
            looked_at, erased, cleared = looked_at + count, erased + gone, cleared + values
            if after is None:
                number += 1
            if time.monotonic() >= deadline:
                return Swept({"column": number, "after": after}, looked_at, erased, cleared)
        return Swept(None, looked_at, erased, cleared)

    def collect(self, sought: Sought, cursor: Mapping[str, Any]) -> Collected:
        """As `Store.collect`: which row and where, since the row is about something else."""
        names = Names(sought)
        deadline = time.monotonic() + BUDGET_SECONDS
        number, after = _place_of(cursor)
        looked_at = 0
        items: list[Mapping[str, Any]] = []
        while number < len(self.columns):
            column = self.columns[number]
            if column.names_a_thing:
                number, after = number + 1, None
                continue
            rows = _rows_after(column, after)
            looked_at += len(rows)
            for row in rows:
                _, _, places = _left_of(column, names, row)
                if places:
                    said = {"table": column.model._meta.db_table, "row": str(row["pk"])}
                    items.append({"about": False, **said, "places": places})
            number, after = (
                (number, str(rows[-1]["pk"])) if len(rows) == ROWS else (number + 1, None)
            )
            if time.monotonic() >= deadline:
                return Collected({"column": number, "after": after}, looked_at, tuple(items))
        return Collected(None, looked_at, tuple(items))


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


def _place_of(cursor: Mapping[str, Any]) -> tuple[int, str | None]:
    """The column's place, and the last row; a cursor of another form (of before an update) is none."""
    return (int(cursor["column"]), cursor["after"]) if "column" in cursor else (0, None)


def _rows_after(column: Column, after: str | None) -> list[dict[str, Any]]:
    rows = column.rows.annotate(as_text=Cast(column.name, TextField()))
    if after is not None:
        rows = rows.filter(pk__gt=after)
    names = ("pk", "as_text", *([column.at] if column.at else []))
    return list(rows.order_by("pk").values(*names)[:ROWS])


def _documents(column: Column, names: Names, after: str | None) -> tuple[str | None, int, int, int]:
    """Where the next begins (None: through), how many rows were looked at, how many of them went (none),
    and how many values left them."""
    rows = _rows_after(column, after)
    cleared = 0
    for row in rows:
        _, count, _ = _left_of(column, names, row)
        if count:
            # Read again under a lock: somebody may change it just now.
            cleared += _replace(column, names, row["pk"])
    last = str(rows[-1]["pk"]) if len(rows) == ROWS else None
    return last, len(rows), 0, cleared


def _left_of(column: Column, names: Names, row: Mapping[str, Any]) -> tuple[Any, int, list[str]]:
    """What is left of a row's document, how many values go, and where they are."""
    if row["as_text"] is None:
        return None, 0, []
    document = row["as_text"] if column.is_plain else _read(row["as_text"])
    written_at = row[column.at] if column.at else None
    places: list[str] = []

    def is_meant(value: Any, pointer: str) -> bool:
        if column.where is not None and not column.where(pointer):
            return False
        until = names.latest(_parts(column, value))
        if until is None or not _is_due(written_at, until):
            return False
        places.append(pointer)
        return True

    left, count = taken_out(
        document, is_meant, keeps_places=column.keeps_places, instead=column.instead
    )
    return left, count, places


def _read(said: str) -> Any:
    try:
        return read_exact(said)
    except ValueError:  # text that is no JSON, where the column is text
        return said


def _is_due(written_at: datetime | None, until: datetime) -> bool:
    return written_at is None or written_at <= until


def _parts(column: Column, value: Any) -> Iterator[Any]:
    yield value
    if column.in_parts and isinstance(value, str):
        yield from words_in(value)
        yield from _STEPS.split(value)


def _replace(column: Column, names: Names, pk: Any) -> int:
    held = column.rows.select_for_update(of=("self",)).filter(pk=pk)
    wanted = ("pk", "as_text", *([column.at] if column.at else []))
    row = held.annotate(as_text=Cast(column.name, TextField())).values(*wanted).first()
    if row is None:
        return 0
    left, count, _ = _left_of(column, names, row)
    if not count:
        return 0
    value = _value_of(column, left, pk)
    if column.is_guarded:
        _say_it_erases("yes")
    column.rows.filter(pk=pk).update(**{column.name: value})
    if column.is_guarded:
        _say_it_erases("")
    return count


def _value_of(column: Column, left: Any, pk: Any) -> Any:
    if column.is_plain:
        return f"{left} {pk}" if column.is_unique else left
    text = Value("null" if left is GONE else write_exact(left), output_field=TextField())
    return text if column.is_text else Cast(text, JSONField())


def _say_it_erases(word: str) -> None:
    """Open, or close again, what the database guards, for this transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('portal.erases', %s, true)", [word])


def _things(column: Column, names: Names, after: str | None) -> tuple[str | None, int, int, int]:
    """As `_documents`, of rows that go when their text names somebody."""
    values = column.rows.order_by(column.name).values_list(column.name, flat=True).distinct()
    if after is not None:
        values = values.filter(**{f"{column.name}__gt": after})
    found = list(values[:TEXTS])
    gone = 0
    for value in found:
        until = names.latest(_parts(column, value))
        if until is not None:
            rows = column.rows.filter(**{column.name: value})
            if column.at:
                rows = rows.filter(**{f"{column.at}__lte": until})
            gone += rows.delete()[0]
    return (found[-1] if len(found) == TEXTS else None), len(found), gone, 0
