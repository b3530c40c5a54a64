"""The audit log as a file, page by page, so that no export is held in memory."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

import orjson
from asgiref.sync import sync_to_async
from django.db.models import QuerySet

from governance.models import AuditEntry
from governance.selectors.audit_log import as_dict
from portal.http.rendering import dump
from portal.kernel import rfc3339, tables

ROWS: Final = 500
COLUMNS: Final = (
    "seq", "at", "actor_kind", "actor_id", "actor", "action", "object_kind", "object_key", "summary",
    "detail", "request_id", "prev_hash", "hash", "format",
)  # fmt: skip


def as_lines(rows: QuerySet[AuditEntry]) -> AsyncIterator[bytes]:
    """One JSON object a line, the oldest row first: what `audit verify` reads."""
    return _pages(rows, lambda page: b"".join(dump(as_dict(row)) + b"\n" for row in page))


async def as_table(rows: QuerySet[AuditEntry]) -> AsyncIterator[bytes]:
    """A table for spreadsheets, the oldest row first."""
    yield tables.lines([COLUMNS])
    async for part in _pages(rows, lambda page: tables.lines(_cells(row) for row in page)):
        yield part


async def _pages(
    rows: QuerySet[AuditEntry], written: Callable[[Sequence[AuditEntry]], bytes]
) -> AsyncIterator[bytes]:
    last = 0
    while page := await sync_to_async(_after)(rows, last):
        yield written(page)
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
