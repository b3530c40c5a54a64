"""The ledger: what was done, by whom, to what; append-only and hash-linked.

The hash of a row is SHA-256 over the hash before it and the row's canonical text
(`canonical_row`), computed in the database by `governance_audit_append` and here again by
`verify`, which therefore does not trust the database's own arithmetic.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from governance.models import AuditEntry
from governance.types import ResourceRef
from portal.kernel import rfc3339, sql
from portal.kernel.actor import Actor

GENESIS: Final = bytes(32)
_APPEND: Final = sql.load("governance", "append_audit")
_HELD: Final[ContextVar[list[dict[str, Any]] | None]] = ContextVar("held_audit", default=None)


@contextmanager
def held_back() -> Iterator[None]:
    """Append the rows of a long transaction at the end of the block, in their order.

    The chain's head is locked from the first row to the end of its transaction, so a long one
    would have every other audited write wait. Rows of a block that fails are dropped with it.
    """
    outer = _HELD.get()
    rows: list[dict[str, Any]] = []
    token = _HELD.set(rows)
    try:
        yield
    finally:
        _HELD.reset(token)
    if outer is not None:
        outer += rows
        return
    for row in rows:
        _append(row)


def record(
    actor: Actor,
    action: str,
    ref: ResourceRef,
    *,
    summary: str,
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
) -> int:
    """Append one row in the present transaction and give its number, 0 while it is held back.

    Never a personal value.
    """
    detail: dict[str, object] = {}
    if before is not None:
        detail["before"] = dict(before)
    if after is not None:
        detail["after"] = dict(after)
    if actor.key_id:
        detail["key"] = actor.key_id
    row = {
        "actor_kind": actor.kind.value,
        "actor_id": actor.id,
        "actor": actor.label,
        "action": action,
        "object_kind": ref.kind,
        "object_key": ref.key,
        "summary": summary,
        "detail": _canonical_json(orjson.loads(_plain_json(detail))).decode(),
        "request_id": actor.request_id,
    }
    held = _HELD.get()
    if held is not None:
        held.append(row)
        return 0
    return _append(row)


def _append(row: Mapping[str, Any]) -> int:
    found = sql.fetch_one(_APPEND, row)
    assert found is not None
    return int(found["seq"])


def _plain_json(detail: Mapping[str, object]) -> bytes:
    """JSON in which times are spelled as everywhere else."""
    return orjson.dumps(
        detail,
        default=lambda value: rfc3339.spell(value) if isinstance(value, datetime) else str(value),
        option=orjson.OPT_PASSTHROUGH_DATETIME,
    )


def canonical_row(entry: AuditEntry) -> bytes:
    """The bytes that are hashed: the columns joined by U+001F, the detail as its own hash.

    Times are microseconds since 1970 in UTC, so that no rendering of a time can matter.
    """
    at = entry.at.astimezone(UTC)
    micros = int(at.timestamp()) * 1_000_000 + at.microsecond
    fields = [
        entry.seq, micros, entry.actor_kind, entry.actor_id, entry.actor, entry.action,
        entry.object_kind, entry.object_key, entry.summary, entry.request_id,
    ]  # fmt: skip
    detail = hashlib.sha256(_canonical_json(entry.detail)).hexdigest()
    return "\x1f".join([*(str(field) for field in fields), detail]).encode()


def _canonical_json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@dataclass(frozen=True, slots=True)
class Verification:
    """What a walk over the chain found. `first_bad` is the first row that does not fit."""

    rows: int
    first_bad: int | None
    head_hash: str

    @property
    def holds(self) -> bool:
        return self.first_bad is None


def verify(entries: Iterable[AuditEntry] | None = None) -> Verification:
    """Recompute the whole chain, oldest first, streaming; names the first row that breaks it."""
    rows = entries if entries is not None else AuditEntry.objects.order_by("seq").iterator()
    previous, count = GENESIS, 0
    for count, entry in enumerate(rows, start=1):
        expected = hashlib.sha256(previous + canonical_row(entry)).digest()
        if (
            entry.seq != count
            or bytes(entry.prev_hash) != previous
            or bytes(entry.hash) != expected
        ):
            return Verification(rows=count, first_bad=entry.seq, head_hash=previous.hex())
        previous = expected
    return Verification(rows=count, first_bad=None, head_hash=previous.hex())
