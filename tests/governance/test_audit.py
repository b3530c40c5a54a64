import hashlib

import pytest
from django.db import DatabaseError, connection, transaction

from governance import audit
from governance.chain.rows import GENESIS, canonical_row
from governance.models import AuditEntry
from governance.services.verification import walk_chain
from governance.types import ResourceRef
from portal.kernel.actor import SYSTEM

pytestmark = pytest.mark.django_db

REF = ResourceRef("stream", "checkout.order_placed")


def write_rows(count: int) -> None:
    for number in range(count):
        audit.record(
            SYSTEM,
            "stream.edited",
            REF,
            summary=f"change {number}: Größe",
            after={"b": number, "a": "ü"},
        )


def test_the_chain_holds_and_links_every_row() -> None:
    write_rows(5)
    found = walk_chain()
    assert found.holds
    assert found.rows == 5
    first = AuditEntry.objects.order_by("seq").first()
    assert first is not None
    assert bytes(first.prev_hash) == GENESIS
    digest = hashlib.sha256(GENESIS + canonical_row(first)).digest()
    assert bytes(first.hash) == digest


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE governance_audit SET summary = 'other' WHERE seq = 2",
        "DELETE FROM governance_audit WHERE seq = 2",
        "TRUNCATE governance_audit",
    ],
)
def test_the_database_refuses_to_change_the_chain(statement: str) -> None:
    write_rows(3)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        connection.cursor().execute(statement)
    assert walk_chain().rows == 3


@pytest.mark.parametrize(
    ("statement", "first_bad"),
    [
        ("UPDATE governance_audit SET summary = 'other' WHERE seq = 3", 3),
        ("UPDATE governance_audit SET detail = '{}' WHERE seq = 2", 2),
        ("DELETE FROM governance_audit WHERE seq = 2", 2),
        ("UPDATE governance_audit SET at = at + interval '1 microsecond' WHERE seq = 4", 4),
    ],
)
def test_a_change_by_the_owner_is_found_and_the_first_bad_row_named(
    statement: str, first_bad: int
) -> None:
    write_rows(5)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE governance_audit DISABLE TRIGGER USER")
        cursor.execute(statement)
        cursor.execute("ALTER TABLE governance_audit ENABLE TRIGGER USER")
    assert walk_chain().first_bad == first_bad
