"""The audit log as a file, page by page, so that no export is held in memory.

Sealed lines end in proofs and a seal (`governance.chain.seals`): what is in such a file can be checked
with nothing but the public key. Lines without, and a table, are rows alone.
"""

from array import array
from collections.abc import AsyncIterator, Mapping
from typing import Final

import orjson
from asgiref.sync import sync_to_async
from django.db.models import QuerySet

from governance.chain import seals
from governance.models import AuditEntry
from governance.selectors.audit_log import as_dict, newest_number
from governance.selectors.audit_proofs import proofs_of
from portal.http.rendering import dump
from portal.kernel import clock, rfc3339, tables

ROWS: Final = 500
COLUMNS: Final = (
    "seq", "at", "actor_kind", "actor_id", "actor", "action", "object_kind", "object_key", "summary",
    "detail", "request_id", "prev_hash", "hash", "format",
)  # fmt: skip


async def as_lines(rows: QuerySet[AuditEntry]) -> AsyncIterator[bytes]:
    """One JSON object a line, the oldest row first."""
    async for page in _pages(rows):
        yield b"".join(dump(as_dict(row)) + b"\n" for row in page)


def as_sealed_lines(rows: QuerySet[AuditEntry], asked: Mapping[str, str]) -> AsyncIterator[bytes]:
    """The same, then proofs and the seal: what `audit verify FILE --sealed` reads. `asked` is the question that chose the rows, by its parts; empty for all of them.

    What comes while it is read is left out. The key that seals is there (`anchor_for_export`).
    """
    upto = newest_number()
    return _sealed(rows.filter(seq__lte=upto), seals.Sealing(asked, upto))


async def _sealed(rows: QuerySet[AuditEntry], sealing: seals.Sealing) -> AsyncIterator[bytes]:
    numbers = array("q")
    async for page in _pages(rows):
        for row in page:
            numbers.append(row.seq)
            sealing.takes_row(bytes(row.hash))
        yield b"".join(dump(as_dict(row)) + b"\n" for row in page)
    proofs = proofs_of(numbers)
    while (proof := await sync_to_async(lambda: next(proofs, None))()) is not None:
        line = seals.proof_line(proof)
        sealing.takes_proof(line)
        yield line
    yield await sync_to_async(sealing.line)(clock.now())


async def as_table(rows: QuerySet[AuditEntry]) -> AsyncIterator[bytes]:
    """A table for spreadsheets, the oldest row first."""
    yield tables.lines([COLUMNS])
    async for page in _pages(rows):
        yield tables.lines(_cells(row) for row in page)


async def _pages(rows: QuerySet[AuditEntry]) -> AsyncIterator[list[AuditEntry]]:
    last = 0
    while page := await sync_to_async(_after)(rows, last):
        yield page
        last = page[-1].seq


def _after(rows: QuerySet[AuditEntry], seq: int) -> list[AuditEntry]:
    return list(rows.filter(seq__gt=seq).order_by("seq")[:ROWS])


def _cells(entry: AuditEntry) -> list[str | int]:
    return [
        entry.seq,
        rfc3339.spell(entry.at),
        entry.actor_kind,
        entry.actor_id,
        entry.actor,
        entry.action,
        entry.object_kind,
        entry.object_key,
        entry.summary,
        orjson.dumps(entry.detail).decode(),
        entry.request_id,
        bytes(entry.prev_hash).hex(),
        bytes(entry.hash).hex(),
        entry.format,
    ]
