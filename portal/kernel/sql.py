"""Fixed SQL statements kept in files, and the only way to run them.

A statement lives in `<app>/sql/<verb_noun>.sql` with a header comment and named parameters
(`%(name)s`). `Statement` is its own type, so that text glued together at run time does not pass
the type check.
"""

from collections.abc import Mapping
from importlib import resources
from typing import Any, NewType

from django.db import connections

Statement = NewType("Statement", str)
Params = Mapping[str, Any]


def load(app: str, name: str) -> Statement:
    """Read `<app>/sql/<name>.sql`, once, at import."""
    return Statement(resources.files(app).joinpath("sql", f"{name}.sql").read_text("utf-8"))


def execute(statement: Statement, params: Params | None = None, *, using: str = "default") -> int:
    """Run a statement that returns nothing and give the number of rows it touched."""
    with connections[using].cursor() as cursor:
        cursor.execute(statement, dict(params or {}))
        return int(cursor.rowcount)


def fetch_all(
    statement: Statement, params: Params | None = None, *, using: str = "default"
) -> list[dict[str, Any]]:
    """Run a statement and give its rows as dictionaries by column name."""
    with connections[using].cursor() as cursor:
        cursor.execute(statement, dict(params or {}))
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def fetch_one(
    statement: Statement, params: Params | None = None, *, using: str = "default"
) -> dict[str, Any] | None:
    """Run a statement that gives at most one row; None when there is none."""
    rows = fetch_all(statement, params, using=using)
    return rows[0] if rows else None
