"""Erasures as admins see them. Nobody is shown whom one is about."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet

from governance import erasure_ledger, receipts
from governance.chain import signing
from governance.chain.signing import AuditKeyError
from governance.erasure_ledger import Line
from governance.models import Erasure, ErasureState
from governance.receipts import ReceiptError
from portal.kernel.actor import Actor
from portal.kernel.errors import NotFoundError

SHOWN: Final = 20
COUNTED: Final = 1_000
# What the database knows of an erasure that stands in the ledger, when there is nothing to replay:
# one that runs goes on by itself.
_KNOWN: Final = (ErasureState.RUNNING, ErasureState.DONE)


def visible_erasures(actor: Actor) -> QuerySet[Erasure]:
    """All for admins, none for anybody else. `sealed` is not read."""
    rows = Erasure.objects.select_related("job").defer("sealed")
    return rows if actor.is_admin else rows.none()


def get_erasure(actor: Actor, erasure_id: UUID) -> Erasure:
    """One erasure; NotFoundError for missing and forbidden alike."""
    found = visible_erasures(actor).filter(pk=erasure_id).first()
    if found is None:
        raise NotFoundError
    return found


def get_receipt(actor: Actor, erasure_id: UUID) -> dict[str, Any]:
    """The signed receipt; NotFoundError before the erasure is done."""
    found: dict[str, Any] | None = get_erasure(actor, erasure_id).receipt
    if found is None:
        raise NotFoundError("There is no receipt before it is done.")
    return found


def verdict_on_receipt(actor: Actor, erasure_id: UUID) -> str:
    """Why the receipt as it is kept proves nothing; empty when one of the portal's own keys signed it
    so, about this erasure. As `manage.py erase verify` judges a file of it."""
    try:
        said = receipts.check(get_receipt(actor, erasure_id), signing.known_keys())
    except (ReceiptError, AuditKeyError) as error:
        return str(error).rstrip(".")
    return "" if said.get("erasure") == str(erasure_id) else "it is of another erasure"


def waiting(actor: Actor) -> QuerySet[Erasure]:
    """Those that wait for a decision, the oldest first."""
    return visible_erasures(actor).filter(state=ErasureState.WAITING).order_by("created_at", "id")


def counts(actor: Actor) -> dict[str, int] | None:
    """How many there are by state, counted up to a thousand each; None for who is no admin."""
    if not actor.is_admin:
        return None
    rows = Erasure.objects.order_by()
    return {
        str(state): rows.filter(state=state)[:COUNTED].count()
        for state in (ErasureState.WAITING, ErasureState.RUNNING, ErasureState.DONE)
    }


def may_decide(actor: Actor, row: Erasure) -> bool:
    """Whether the actor may approve or deny it: an admin who did not ask for it."""
    return (
        actor.is_admin
        and row.state == ErasureState.WAITING
        and not (actor.is_person and actor.id == row.requested_by_user)
    )


@dataclass(frozen=True, slots=True)
class Swept:
    """What was done in one store, in the order of the walk."""

    key: str
    name: str
    looked_at: int
    erased: int
    cleared: int
    passes: int
    is_current: bool


def swept(row: Erasure) -> list[Swept]:
    """What was done so far, by store."""
    said: dict[str, Any] = row.stores
    current = row.job.cursor.get("store") if row.job is not None and row.job.is_live else None
    return [
        Swept(
            key, found["name"], found["looked_at"], found["erased"], found["cleared"],
            found["passes"], is_current=key == current,
        )
        for key, found in sorted(said.items(), key=lambda pair: pair[1]["place"])
    ]  # fmt: skip


# --- What the ledger knows and the database does not ----------------------------------------------

_lock: Final = threading.Lock()
_read: dict[str, tuple[tuple[int, int, int], dict[UUID, list[Line]]]] = {}


def ledger_lines() -> dict[UUID, list[Line]]:
    """The lines of the ledger by erasure, read again only when the file has changed.

    Raises LedgerError and OSError.
    """
    path = settings.ERASURE_LEDGER
    try:
        status = path.stat()
    except FileNotFoundError:
        return {}
    seen = (status.st_ino, status.st_size, status.st_mtime_ns)
    with _lock:
        known = _read.get(str(path))
        if known is None or known[0] != seen:
            found: dict[UUID, list[Line]] = {}
            for line in erasure_ledger.lines(path):
                found.setdefault(line.erasure, []).append(line)
            known = _read[str(path)] = (seen, found)
    return known[1]


def unreplayed() -> list[UUID]:
    """Erasures that stand in the ledger and that this database never heard of: it was restored from
    a backup older than they are. Raises LedgerError and OSError."""
    wanted = list(ledger_lines())
    known = set(_known(wanted)) if wanted else set()
    return [erasure for erasure in wanted if erasure not in known]


def all_but_running() -> list[UUID]:
    """All erasures of the ledger but those whose job runs. Raises as `unreplayed`."""
    running = Erasure.objects.filter(state=ErasureState.RUNNING)
    known = set(running.values_list("pk", flat=True))
    return [erasure for erasure in ledger_lines() if erasure not in known]


def _known(wanted: Iterable[UUID]) -> QuerySet[Erasure, UUID]:
    rows = Erasure.objects.filter(pk__in=list(wanted), state__in=_KNOWN)
    return rows.values_list("pk", flat=True)


def missing_in_ledger() -> int:
    """How many erasures were done of which the ledger, or a new one in its place, knows nothing."""
    done = Erasure.objects.filter(state=ErasureState.DONE)
    return done.exclude(pk__in=list(ledger_lines())).count()
