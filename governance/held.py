"""The things that live grants give somebody, as the subquery of a predicate.

It stands in nearly every statement that reads, in some of them five times. Built of Django's queries it
took a third of the time of a page, so it is text, made once for each table; only its values are bound.
What makes a grant live is said in `live` and in `_held` alike.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from django.db.models import Model, QuerySet
from django.db.models.expressions import RawSQL
from django.db.models.functions import Now
from psycopg.sql import SQL, Composable, Identifier

from governance.models import Delegation, User


def live(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Those of some grants that hold at this moment of the database's clock."""
    return rows.filter(valid_from__lte=Now(), valid_until__gt=Now(), revoked_at=None)


def by_person(
    users: type[Model], groups: type[Model], person: int, permission_ids: Sequence[int],
    *, and_absent: bool,
) -> RawSQL:  # fmt: skip
    """The ids of what one person holds, by grants to them and to their groups.

    With `and_absent` also by those of people who made them their deputy and are away now.
    """
    whose = [person, person] if and_absent else [person]
    ids = list(permission_ids)
    text = _of_person(users, groups, and_absent=and_absent)
    return RawSQL(text, [ids, *whose, ids, *whose])  # noqa: S611  # the values are bound


def by_program(
    table: type[Model], kind: str, program: int, permission_ids: Sequence[int]
) -> RawSQL:
    """The ids of what a producer or a consumer holds."""
    return RawSQL(_of_program(table, kind), [list(permission_ids), program])  # noqa: S611  # as above


@cache
def _of_person(users: type[Model], groups: type[Model], *, and_absent: bool) -> str:
    people: Composable = SQL("= %s")
    if and_absent:
        people = SQL(
            "IN (SELECT %s::bigint UNION ALL SELECT person_id FROM {} WHERE deputy_id = %s"
            " AND since <= statement_timestamp() AND until > statement_timestamp()"
            " AND ended_at IS NULL)"
        ).format(Identifier(Delegation._meta.db_table))
    members = Identifier(User.groups.through._meta.db_table)
    in_groups = SQL("group_id IN (SELECT group_id FROM {} WHERE user_id {})").format(
        members, people
    )
    parts = _held(users, SQL("user_id {}").format(people)), _held(groups, in_groups)
    return SQL(" UNION ALL ").join(parts).as_string(None)


@cache
def _of_program(table: type[Model], kind: str) -> str:
    return _held(table, SQL("{} = %s").format(Identifier(f"{kind}_id"))).as_string(None)


def _held(table: type[Model], holder: Composable) -> Composable:
    return SQL(
        "SELECT content_object_id FROM {} WHERE permission_id = ANY(%s::int[])"
        " AND valid_from <= statement_timestamp() AND valid_until > statement_timestamp()"
        " AND revoked_at IS NULL AND {}"
    ).format(Identifier(table._meta.db_table), holder)
