"""The ledger: what was done, by whom, to what; append-only and hash-linked.

Rows are written in the transaction of what they tell of. `governance.chain` proves that none was
changed since: it walks the chain, and signs what nobody may change any more.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any, Final

import orjson

from governance.chain.anchors import MOST_ROWS
from governance.chain.rows import canonical_detail
from governance.types import ResourceRef
from portal.kernel import jobs, rfc3339, sql
from portal.kernel.actor import Actor

ANCHOR_TASK: Final = "governance.anchor_audit"
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
        "detail": canonical_detail(orjson.loads(_plain_json(detail))),
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
    number = int(found["seq"])
    if number % MOST_ROWS == 0:
        jobs.enqueue(ANCHOR_TASK)  # the minute's turn may be far
    return number


def _plain_json(detail: Mapping[str, object]) -> bytes:
    """JSON in which times are spelled as everywhere else."""
    return orjson.dumps(
        detail,
        default=lambda value: rfc3339.spell(value) if isinstance(value, datetime) else str(value),
        option=orjson.OPT_PASSTHROUGH_DATETIME,
    )
