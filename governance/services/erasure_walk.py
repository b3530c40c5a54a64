"""The job of an erasure, step by step; each bears being killed and done again.

1. settle: wait until everything that was received before the moment is stored.
2. expand: walk the vault for tokens that stand for the person; they are identifiers from then on.
3. begin: the line `begun` goes to the ledger, then the subject's data keys are destroyed, so that
   whoever comes later under their name starts with a fresh one.
4. walk: every store in its order, the vault last, and all of them again. A walk that found something
   is followed by another, at most five.
5. finish: the line `done`, the receipt, and nobody knows any more whom it was about.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from django.conf import settings
from django.db.models import F

from governance import audit, erasing, erasure_ledger, receipts, tombstones
from governance.chain.signing import AuditKeyError
from governance.erasing import Store, Swept
from governance.erasure_ledger import BEGUN, DONE, Line
from governance.job_kinds import Step
from governance.models import Erasure, ErasureState, Job
from governance.privacy import whom
from governance.privacy.whom import SETTLE
from governance.services.erasures import page_of
from governance.services.notices import News, tell
from governance.types import NoticeKind
from portal.kernel import clock, rfc3339, sql
from portal.kernel.actor import SYSTEM
from portal.kernel.errors import ConflictError, UnavailableError
from portal.kernel.failpoints import failpoint

MOST_PASSES: Final = 5
REST_SECONDS: Final = 2.0
_IS_SETTLED: Final = sql.load("governance", "is_settled")


def erase_step(job: Job) -> Step:
    """Do the next step of an erasure."""
    row = Erasure.objects.select_for_update().get(pk=job.object_key)
    if row.state != ErasureState.RUNNING:  # a replay of the ledger was faster
        return Step(cursor={}, done=job.done, said="It was finished already.", is_finished=True)
    return _PHASES[job.cursor["phase"]](job, row)


def _settle(job: Job, row: Erasure) -> Step:
    assert row.at is not None
    ends_at = row.at + SETTLE
    found = sql.fetch_one(_IS_SETTLED, {"xid": job.cursor["xid"]})
    assert found is not None
    # Numbers of transactions begin anew in a restored copy: none runs for ten times as long.
    is_over = found["settled"] or clock.now() > row.at + 10 * SETTLE
    if clock.now() >= ends_at and is_over:
        return Step(cursor={"phase": "expand", "after": ""}, done=0, said="Looks into the vault.")
    said = "Waits until everything that was received before is stored."
    return Step(cursor=job.cursor, done=0, said=said, rest_seconds=REST_SECONDS)


def _expand(job: Job, row: Erasure) -> Step:
    assert row.at is not None
    known = whom.opened(row.sealed, row.pk)
    page = whom.page_of_tokens(known.sought(row.at), bytes.fromhex(job.cursor["after"]))
    grown = known.with_others(text for one in page.found for text in one.texts)
    if grown != known:
        tombstones.put(grown.marks, row.pk, row.at)
        row.sealed = whom.sealed(grown, row.pk)
        row.save(update_fields=["sealed"])
    refs = [*job.cursor.get("refs", []), *(one.ref.hex() for one in page.found)]
    cursor: dict[str, Any] = {"phase": "begin", "refs": refs}
    if page.last is not None:
        cursor = {"phase": "expand", "after": page.last.hex(), "refs": refs}
    return Step(cursor=cursor, done=job.done + page.looked_at, said="Looks into the vault.")


def _begin(job: Job, row: Erasure) -> Step:
    assert row.at is not None
    known = whom.opened(row.sealed, row.pk)
    refs = [*known.key_refs, whom.sealing_ref(row.pk)]
    failpoint("erasure.before_ledger")
    erasure_ledger.append(
        Line(
            BEGUN, row.pk, row.at, clock.now(), row.basis, row.identifiers,
            marks=tuple(known.marks), keys=tuple(refs),
            tokens=tuple(bytes.fromhex(ref) for ref in job.cursor["refs"]),
        )
    )  # fmt: skip
    failpoint("erasure.after_ledger")
    n_keys = whom.destroy_keys(known.key_refs, made_until=row.at)
    stores = erasing.stores()
    row.stores = accounts_of(stores)
    if "vault" in row.stores:
        row.stores["vault"]["erased"] = n_keys
    row.save(update_fields=["stores"])
    return Step(
        cursor=_first(stores, 1), done=0, total=2 * sum(store.size() for store in stores),
        said="Begins with the first store.",
    )  # fmt: skip


def accounts_of(stores: tuple[Store, ...]) -> dict[str, Any]:
    """An empty account of what is done by store; `place` keeps the order."""
    return {
        store.key: {
            "place": place, "name": store.name, "looked_at": 0, "erased": 0, "cleared": 0,
            "passes": 0,
        }
        for place, store in enumerate(stores)
    }  # fmt: skip


def count_in(accounts: dict[str, Any], store: Store, swept: Swept) -> None:
    """Add to the account of a store what a step did there."""
    found = accounts.setdefault(
        store.key, accounts_of((store,))[store.key] | {"place": len(accounts)}
    )
    found["looked_at"] += swept.looked_at
    found["erased"] += swept.erased
    found["cleared"] += swept.cleared
    found["passes"] += swept.cursor is None


def _first(stores: tuple[Store, ...], number: int) -> dict[str, Any]:
    if not stores:
        return {"phase": "finish"}
    return {"phase": "walk", "pass": number, "store": stores[0].key, "at": {}, "found": 0}


def _walk(job: Job, row: Erasure) -> Step:
    assert row.at is not None
    cursor = job.cursor
    stores = erasing.stores()
    place = next((n for n, store in enumerate(stores) if store.key == cursor["store"]), None)
    if place is None:  # it is gone with an update: what comes after it is unknown, so all again
        return Step(cursor=_first(stores, cursor["pass"]), done=job.done)
    store = stores[place]
    swept = store.erase(whom.opened(row.sealed, row.pk).sought(row.at), cursor["at"])
    failpoint("erasure.in_store")
    count_in(row.stores, store, swept)
    row.save(update_fields=["stores"])
    found = cursor["found"] + swept.erased + swept.cleared
    done = job.done + swept.looked_at
    after: dict[str, Any]
    if swept.cursor is not None:
        after = {**cursor, "at": dict(swept.cursor), "found": found}
    elif place + 1 < len(stores):
        after = {**cursor, "store": stores[place + 1].key, "at": {}, "found": found}
    else:
        after = _next_walk(stores, cursor["pass"], found)
    return Step(
        cursor=after, done=done, total=max(job.total or 0, done),
        said=f"{_TURNS[cursor['pass'] - 1]} walk, {store.name}.",
    )  # fmt: skip


_TURNS: Final = ("First", "Second", "Third", "Fourth", "Fifth")


def _next_walk(stores: tuple[Store, ...], number: int, found: int) -> dict[str, Any]:
    """Another walk, until one has found nothing; the first is never the last."""
    if number > 1 and not found:
        return {"phase": "finish"}
    if number < MOST_PASSES:
        return _first(stores, number + 1)
    return {"phase": "stuck", "found": found}


def _stuck(job: Job, row: Erasure) -> Step:
    """Fail once, and say so; who has it go on begins with five more walks."""
    if job.cursor.get("fence") != job.fence and "fence" in job.cursor:
        return Step(cursor=_first(erasing.stores(), 1), done=job.done)
    if "fence" not in job.cursor:
        cursor = {**job.cursor, "fence": job.fence}
        return Step(cursor=cursor, done=job.done, said="Five walks were not enough.")
    raise ConflictError(
        f"After {MOST_PASSES} walks {job.cursor['found']} values were still found: something "
        "brings them back (docs/runbooks/erasure.md). Have it go on when that has ended."
    )


def _finish(job: Job, row: Erasure) -> Step:
    assert row.at is not None
    failpoint("erasure.before_done")
    line = erasure_ledger.append(Line(DONE, row.pk, row.at, clock.now()))
    failpoint("erasure.after_done")
    settle_account(row, line)
    audit.record(
        SYSTEM,
        "erasure.done",
        row.about,
        summary="erased a person",
        after={
            "basis": row.basis,
            "identifiers": row.identifiers,
            "stores": _counts(row.stores),
            "ledger": line.hash,
        },
    )
    if row.requested_by_user:
        news = News(
            NoticeKind.ERASURE, row.about, "An erasure that you asked for is done",
            "Its receipt is at hand.", page_of(row), f"erasure:{row.pk}:done",
        )  # fmt: skip
        tell([row.requested_by_user], news, by=SYSTEM)
    return Step(
        cursor={}, done=job.done, total=job.done, said="Done: nothing is found any more.",
        is_finished=True,
    )  # fmt: skip


def settle_account(row: Erasure, line: Line, **more: Any) -> None:
    """Sign the receipt, and forget whom it was about. `more` goes into the receipt.

    UnavailableError where there is no key to sign with.
    """
    row.finished_at = line.said_at
    try:
        receipt = receipts.signed(_receipt(row, line, more))
    except AuditKeyError as error:
        raise UnavailableError(f"The receipt cannot be signed: {error}") from error
    Erasure.objects.filter(pk=row.pk).update(
        state=ErasureState.DONE, sealed="", stores=row.stores, finished_at=row.finished_at,
        receipt=receipt, revision=F("revision") + 1,
    )  # fmt: skip
    whom.destroy_keys([whom.sealing_ref(row.pk)], made_until=clock.now() + SETTLE)
    tombstones.tell()  # from now on they may begin afresh, where streams let them


def _receipt(row: Erasure, line: Line, more: Mapping[str, Any]) -> dict[str, Any]:
    assert row.at is not None
    assert row.finished_at is not None
    return {
        "erasure": str(row.pk),
        "basis": row.basis,
        "requested_by": row.requested_by,
        "decided_by": row.decided_by,
        "at": rfc3339.spell(row.at),
        "finished_at": rfc3339.spell(row.finished_at),
        "identifiers": row.identifiers,
        "stores": _counts(row.stores),
        "ledger": line.hash,
        "portal": settings.PUBLIC_URL,
        **more,
    }


def _counts(stores: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = sorted(stores.items(), key=lambda pair: pair[1]["place"])
    names = ("name", "looked_at", "erased", "cleared", "passes")
    return [{"key": key, **{name: found[name] for name in names}} for key, found in rows]


_PHASES: Final[Mapping[str, Callable[[Job, Erasure], Step]]] = {
    "settle": _settle, "expand": _expand, "begin": _begin, "walk": _walk, "stuck": _stuck,
    "finish": _finish,
}  # fmt: skip
