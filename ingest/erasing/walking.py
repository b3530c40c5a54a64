"""Going through the events of a table in the order of their identity, a stretch at a time.

A stretch is short, what is found in it is changed, and where it ends stands in the cursor, all in one
transaction. Where a few identifiers are known in clear, the database looks first and gives only what
may be meant; else each row's values are hashed.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from governance.erasing import Collected, Sought, Swept
from governance.whole_values import Names
from ingest.erasing.judging import Judge, Row, Verdict
from ingest.erasing.needles import needles
from ingest.erasing.showing import items_of

BUDGET_SECONDS: Final = 1.2
BATCH: Final = 500
LOOKED_AT_FIRST: Final = 2_000  # the batch where the database looks first
MOST_ITEMS: Final = 200  # that a step of a collection gives

# A stretch: where it ends (the next cursor), how many events it has, and those to be judged.
Stretch = tuple[Mapping[str, Any] | None, int, Sequence[Row]]
# Gives the stretch after a cursor, of so many events, by texts to look for first.
Read = Callable[[Mapping[str, Any], int, "list[str] | None"], Stretch]


def stretches(read: Read, sought: Sought, cursor: Mapping[str, Any]) -> Iterator[Stretch]:
    """Stretch after stretch, until the budget is spent or there are no more."""
    texts = needles(sought)
    batch = BATCH if texts is None else LOOKED_AT_FIRST
    deadline = time.monotonic() + BUDGET_SECONDS
    at: Mapping[str, Any] | None = cursor
    while at is not None:
        stretch = read(at, batch, texts)
        at = stretch[0]
        yield stretch
        if time.monotonic() >= deadline:
            return


def erase(
    read: Read,
    sought: Sought,
    cursor: Mapping[str, Any],
    change: Callable[[Sequence[tuple[Row, Verdict]], Judge], tuple[int, int]],
) -> Swept:
    """Walk for a step; `change` gives how many rows went, and how many values left others."""
    judge = Judge(Names(sought))
    at: Mapping[str, Any] | None = cursor
    looked_at = erased = cleared = 0
    for stretch in stretches(read, sought, cursor):
        at, count, rows = stretch
        looked_at += count
        found = [
            (row, verdict)
            for row, verdict in zip(rows, judge.verdicts(rows), strict=True)
            if verdict.goes or verdict.changes
        ]
        if found:
            gone, values = change(found, judge)
            erased, cleared = erased + gone, cleared + values
    return Swept(at, looked_at, erased, cleared)


def collect(read: Read, sought: Sought, cursor: Mapping[str, Any]) -> Collected:
    """Walk for a step and show what is found."""
    judge = Judge(Names(sought))
    at: Mapping[str, Any] | None = cursor
    looked_at = 0
    items: list[Mapping[str, Any]] = []
    for stretch in stretches(read, sought, cursor):
        at, count, rows = stretch
        looked_at += count
        items += items_of(rows, judge.verdicts(rows))
        if len(items) >= MOST_ITEMS:
            break
    return Collected(at, looked_at, tuple(items))


def columns_of(row: Row, verdict: Verdict) -> dict[str, Any]:
    """The parameters of the statements that change a row."""
    assert verdict.changes is not None
    names = ("track", "holder", "occurred_at", "event_id", "source", "attributes", "data", "extra",
             "data_base64", "marks")  # fmt: skip
    return {name: row[name] for name in names} | dict(verdict.changes)
