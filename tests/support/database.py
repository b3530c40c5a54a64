"""Puts a database back to empty after a test that commits."""

from functools import cache
from typing import Final

from django.db import connection, transaction
from django.test import TransactionTestCase

from governance.services.policies import sync_built_in

# What `migrate` fills from the models themselves: the same after every test, so it stays.
_STAYS: Final = frozenset({"django_content_type", "auth_permission"})
EMPTY: Final = """
ALTER TABLE governance_audit DISABLE TRIGGER USER;
DELETE FROM governance_audit;
ALTER TABLE governance_audit ENABLE TRIGGER USER;
ALTER TABLE governance_audit_anchor DISABLE TRIGGER USER;
DELETE FROM governance_audit_anchor;
ALTER TABLE governance_audit_anchor ENABLE TRIGGER USER;
UPDATE governance_audit_head SET seq = 0, hash = decode(repeat('00', 32), 'hex');
DELETE FROM ingest_event;
DELETE FROM ingest_event_ledger;
DELETE FROM ingest_dead_letter
"""


@cache
def _emptying() -> str:
    """One statement per table that a model stands for, but the few that stay."""
    names = connection.introspection.django_table_names(only_existing=True, include_views=False)
    quote = connection.ops.quote_name
    return ";".join(f"DELETE FROM {quote(name)}" for name in sorted({*names} - _STAYS))


def flush_by_deleting() -> None:
    """Make Django's flush after a test that commits delete rows.

    Its TRUNCATE makes the files of every table and index anew, 500 of them, and what follows makes
    the rows of `_STAYS` again: a third of a second for what is a few rows in a few tables.
    """

    def teardown(self: TransactionTestCase) -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL DEFERRED")  # tables are emptied in any order
            cursor.execute(_emptying())
        sync_built_in()  # as after a migration: a portal without its policies there is not

    TransactionTestCase._fixture_teardown = teardown  # type: ignore[attr-defined]  # Django's own


def empty_raw_tables() -> None:
    """Empty the tables that have no managed model: the audit chain, events and dead letters."""
    with connection.cursor() as cursor:
        cursor.execute(EMPTY)
