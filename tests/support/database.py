"""Puts back what a test that commits has left where Django's flush does not reach."""

from django.db import connection

EMPTY = """
ALTER TABLE governance_audit DISABLE TRIGGER USER;
DELETE FROM governance_audit;
ALTER TABLE governance_audit ENABLE TRIGGER USER;
UPDATE governance_audit_head SET seq = 0, hash = decode(repeat('00', 32), 'hex');
DELETE FROM ingest_event;
DELETE FROM ingest_event_ledger;
DELETE FROM ingest_dead_letter
"""


def empty_raw_tables() -> None:
    """Empty the tables that have no managed model: the audit chain, events and dead letters."""
    with connection.cursor() as cursor:
        cursor.execute(EMPTY)
