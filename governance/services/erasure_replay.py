"""Erasing again what the ledger says, in a database that was restored from a backup.

1. Who was erased is put in again as tombstones, at once: nobody comes back meanwhile.
2. Data keys and tokens are destroyed by their references.
3. All stores are walked, by hashes alone as nobody is known by name, until a walk has found nothing.
4. The erasures are done then, with a receipt that says it was a replay. A walk that was cut begins
   anew: what is erased already stays so.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from governance import audit, erasing, erasure_ledger, tombstones
from governance.erasing import Sought, Store
from governance.erasure_ledger import BEGUN, DONE, Line
from governance.models import Erasure, ErasureBasis, ErasureState, Job
from governance.models.jobs import LIVE, JobState
from governance.privacy import whom
from governance.privacy.whom import SETTLE
from governance.selectors import erasures as selectors
from governance.services.erasure_walk import MOST_PASSES, accounts_of, count_in, settle_account
from governance.services.erasures import KIND
from governance.services.subject_exports import remove_all_for_erasure
from portal.kernel import clock, rfc3339
from portal.kernel.actor import SYSTEM
from portal.kernel.errors import ConflictError

LEDGER: Final = "ledger"  # stands for who asked and decided, which the ledger does not know
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay did: erasures, walks, and what was found in each store."""

    erasures: int
    walks: int
    stores: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Known:
    """What the ledger says of one erasure, its lines taken together."""

    erasure: UUID
    at: datetime
    basis: str
    identifiers: int
    marks: tuple[bytes, ...]
    keys: tuple[bytes, ...]
    tokens: tuple[bytes, ...]


def replay_ledger(*, whole: bool, tell: Tell) -> Replayed:
    """Erase again what the ledger names and this database does not know, or all that it names.

    `tell` hears how far it is. Raises LedgerError and OSError where the ledger cannot be read,
    ConflictError when five walks were not enough.
    """
    lines = selectors.ledger_lines()
    wanted = selectors.all_but_running() if whole else selectors.unreplayed()
    known = [_taken_together(lines[erasure]) for erasure in wanted]
    if not known:
        return Replayed(0, 0, {})
    for one in known:
        _put_back(one)
    remove_all_for_erasure()  # what was gathered may be of what came back
    tell(f"{len(known)} erasures are known again: nobody of them comes back")
    accounts, walks = _walk_all(_sought(known), tell)
    for one in known:
        _close(one, accounts)
    tell("done: nothing is found any more")
    return Replayed(len(known), walks, accounts)


def _taken_together(lines: Sequence[Line]) -> _Known:
    begun = [line for line in lines if line.kind == BEGUN]
    newest = (begun or list(lines))[-1]
    return _Known(
        newest.erasure,
        newest.at,
        newest.basis if newest.basis in ErasureBasis.values else ErasureBasis.LEGAL_DUTY,
        newest.identifiers,
        marks=tuple(sorted({mark for line in begun for mark in line.marks})),
        keys=tuple(sorted({ref for line in begun for ref in line.keys})),
        tokens=tuple(sorted({ref for line in begun for ref in line.tokens})),
    )


@transaction.atomic
def _put_back(one: _Known) -> None:
    """The row, its tombstones, and the vault without what the ledger names."""
    row, _ = Erasure.objects.select_for_update().get_or_create(
        pk=one.erasure,
        defaults={
            "state": ErasureState.RUNNING, "basis": one.basis, "identifiers": one.identifiers,
            "reason": "Known by the ledger alone.", "requested_by": LEDGER, "decided_by": LEDGER,
            "decided_at": one.at, "at": one.at,
        },
    )  # fmt: skip
    if row.state not in (ErasureState.RUNNING, ErasureState.DONE):
        Erasure.objects.filter(pk=row.pk).update(
            state=ErasureState.RUNNING, at=one.at, decided_by=LEDGER, decided_by_user=0,
            decided_at=one.at,
        )  # fmt: skip
    tombstones.put(one.marks, one.erasure, one.at)
    until = one.at + SETTLE
    whom.destroy_keys(one.keys, made_until=until)
    whom.delete_tokens(one.tokens, made_until=until)


def _sought(known: Sequence[_Known]) -> Sought:
    marks: dict[bytes, datetime] = {}
    for one in known:
        for mark in one.marks:
            marks[mark] = max(one.at, marks.get(mark, one.at))
    return Sought(marks, None)


def _walk_all(sought: Sought, tell: Tell) -> tuple[dict[str, Any], int]:
    stores = erasing.stores()
    accounts = accounts_of(stores)
    for number in range(1, MOST_PASSES + 1):
        found = sum(_walk(store, sought, accounts, f"walk {number}", tell) for store in stores)
        if number > 1 and not found:
            return accounts, number
    raise ConflictError(
        f"After {MOST_PASSES} walks something was still found: does anything bring it back "
        "(docs/runbooks/erasure.md)? Run it again."
    )


def _walk(store: Store, sought: Sought, accounts: dict[str, Any], turn: str, tell: Tell) -> int:
    """Walk one store, each step in a transaction of its own; gives what it found."""
    cursor: Any = {}
    found = looked_at = 0
    size = store.size()
    while cursor is not None:
        with transaction.atomic():
            swept = store.erase(sought, cursor)
        count_in(accounts, store, swept)
        found += swept.erased + swept.cleared
        looked_at += swept.looked_at
        cursor = swept.cursor
        tell(f"{turn}, {store.name}: {looked_at} of about {max(size, looked_at)}, {found} found")
    return found


@transaction.atomic
def _close(one: _Known, accounts: dict[str, Any]) -> None:
    """Write down that it is done. One that this database had done before keeps its receipt."""
    row = Erasure.objects.select_for_update().get(pk=one.erasure)
    line = erasure_ledger.append(Line(DONE, one.erasure, one.at, clock.now()))
    if row.state != ErasureState.DONE:
        row.stores = accounts
        settle_account(row, line, replayed_at=rfc3339.spell(clock.now()))
        Job.objects.filter(kind=KIND, object_key=str(row.pk), state__in=LIVE).exclude(
            state=JobState.RUNNING
        ).update(state=JobState.STOPPED, wish="", finished_at=clock.now())
    audit.record(
        SYSTEM,
        "erasure.replayed",
        row.about,
        summary="erased a person again, as the ledger says",
        after={"ledger": line.hash},
    )
