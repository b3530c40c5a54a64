"""Walking stores as an erasure does: a step a transaction, from where the one before it ended."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from governance.erasing import Sought, Store, Swept, mark_of
from portal.kernel import clock


def sought_of(*texts: str, at: datetime | None = None, in_clear: bool = True) -> Sought:
    """Whose data is meant, up to a moment (now); without `in_clear` as the ledger knows them."""
    until = at or clock.now()
    marks = {mark_of(text): until for text in texts}
    return Sought(marks, texts if in_clear else None)


def walk(store: Store, sought: Sought) -> Swept:
    """Walk a store to its end; gives the sums."""
    cursor: Mapping[str, Any] | None = {}
    looked_at = erased = cleared = 0
    while cursor is not None:
        with transaction.atomic():
            swept = store.erase(sought, cursor)
        cursor = swept.cursor
        looked_at, erased = looked_at + swept.looked_at, erased + swept.erased
        cleared += swept.cleared
    return Swept(None, looked_at, erased, cleared)


def collected(store: Store, sought: Sought) -> list[Mapping[str, Any]]:
    """Everything that a store has about somebody."""
    cursor: Mapping[str, Any] | None = {}
    items: list[Mapping[str, Any]] = []
    while cursor is not None:
        found = store.collect(sought, cursor)
        cursor = found.cursor
        items += found.items
    return items
