"""Erasing a person: asked for by one admin, decided by another, done by a job.

1. Who asks names 1 to 100 identifiers, on which ground, and why. They are sealed at once, and told
   to nobody: not to who decides, not to the audit log, not in answers.
2. On approval the moment is set from which on they must not come back, and every process is told.
   It cannot be taken back.
3. The job (`governance.services.erasure_walk`) does the rest, and signs the receipt.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F

from governance import audit, tombstones
from governance.erasing import mark_of
from governance.errors import NotOwnRequestError, RoleNeededError
from governance.models import Erasure, ErasureBasis, ErasureState, Job, User
from governance.models.jobs import JobState
from governance.privacy import whom
from governance.selectors.erasures import get_erasure
from governance.services.jobs import resume_job, start_job
from governance.services.notices import News, tell
from governance.types import NoticeKind, Role
from portal.kernel import clock
from portal.kernel.actor import Actor
from portal.kernel.errors import (
    FieldError,
    InvalidError,
    InvalidStateError,
    PreconditionFailedError,
)
from portal.kernel.identifiers import uuid7

KIND: Final = "erasure"
MOST: Final = 100
SHORTEST: Final = 3  # characters; less stands in too many places to be about one person
LONGEST: Final = 512
MAX_REASON: Final = 500


@transaction.atomic
def request_erasure(
    identifiers: Sequence[str], *, actor: Actor, basis: str, reason: str
) -> Erasure:
    """Ask for the erasure of a person by everything that they are known by; admins only.

    Raises InvalidError, which names the place of an identifier and never the identifier.
    """
    _require_admin(actor)
    texts = _checked(identifiers, basis, reason)
    erasure_id = uuid7()
    row = Erasure.objects.create(
        id=erasure_id,
        basis=basis,
        reason=reason.strip(),
        identifiers=len(texts),
        sealed=whom.sealed(whom.with_meanings(texts), erasure_id),
        requested_by=actor.label,
        requested_by_user=actor.id if actor.is_person else 0,
    )
    row.refresh_from_db()
    audit.record(
        actor,
        "erasure.requested",
        row.about,
        summary="asked for an erasure",
        after={"basis": basis, "identifiers": len(texts)},
    )
    if actor.is_person:  # the machine's own command decides at once
        said = f"{_counted(len(texts))}, on the ground: {ErasureBasis(basis).label}."
        _tell_admins(row, f"{actor.label} asks for an erasure", said, actor)
    return row


@transaction.atomic
def approve_erasure(
    erasure_id: UUID, *, actor: Actor, note: str = "", revision: int | None = None
) -> Erasure:
    """Have it done: from this moment on they must not come back, and it cannot be taken back.

    Raises NotOwnRequestError for who asked for it, PreconditionFailedError when it is not at
    `revision` any more, InvalidStateError when it was decided already.
    """
    row = _decided(erasure_id, ErasureState.RUNNING, actor, note, revision, at=clock.now())
    assert row.at is not None
    known = whom.opened(row.sealed, row.pk)
    found = known.with_others(whom.subject_tokens(known.identifiers))
    tombstones.put(found.marks, row.pk, row.at)
    job = start_job(
        KIND, row.about, actor=actor, title="Erase a person",
        cursor={"phase": "settle", "xid": _transaction()},
    )  # fmt: skip
    Erasure.objects.filter(pk=row.pk).update(sealed=whom.sealed(found, row.pk), job=job)
    row.refresh_from_db()
    audit.record(
        actor,
        "erasure.approved",
        row.about,
        summary="approved an erasure",
        after={"basis": row.basis, "identifiers": row.identifiers},
    )
    _tell_requester(row, "Your request for an erasure was approved", "It runs now.", actor)
    return row


@transaction.atomic
def deny_erasure(
    erasure_id: UUID, *, actor: Actor, note: str, revision: int | None = None
) -> Erasure:
    """Decline it, and say why. What named the person is forgotten. Raises as `approve_erasure`."""
    if not note.strip():
        raise InvalidError(
            "Say why.", errors=[FieldError("/reason", "required", "is needed to decline")]
        )
    row = _decided(erasure_id, ErasureState.DENIED, actor, note, revision)
    audit.record(actor, "erasure.denied", row.about, summary="declined an erasure")
    _tell_requester(row, "Your request for an erasure was declined", row.decision, actor)
    return _forgotten(row)


@transaction.atomic
def withdraw_erasure(erasure_id: UUID, *, actor: Actor, revision: int | None = None) -> Erasure:
    """Take the request back, by who asked for it. What named the person is forgotten."""
    _require_admin(actor)
    row = get_erasure(actor, erasure_id)
    if actor.is_person and row.requested_by_user not in (0, actor.id):
        raise NotOwnRequestError(
            "Only who asked for it can take it back.", "request.withdraw", page_of(row)
        )
    _move(row, ErasureState.WITHDRAWN, actor, "", revision)
    audit.record(actor, "erasure.withdrawn", row.about, summary="took back an erasure")
    return _forgotten(row)


@transaction.atomic
def go_on(erasure_id: UUID, *, actor: Actor) -> Erasure:
    """Have a job go on that was stopped, paused or failed, where it was."""
    _require_admin(actor)
    row = get_erasure(actor, erasure_id)
    if row.state != ErasureState.RUNNING:
        raise InvalidStateError(f"The erasure is {row.state}.")
    job = row.job
    if job is not None and job.state in (JobState.PAUSED, JobState.FAILED):
        resume_job(job, actor=actor)
        return row
    if job is not None and job.is_live:
        raise InvalidStateError("It runs already.")
    cursor = job.cursor if job is not None else {"phase": "settle", "xid": _transaction()}
    next_job = start_job(KIND, row.about, actor=actor, title="Erase a person", cursor=cursor)
    if job is not None:
        Job.objects.filter(pk=next_job.pk).update(done=job.done, total=job.total)
    Erasure.objects.filter(pk=row.pk).update(job=next_job)
    audit.record(actor, "erasure.resumed", row.about, summary="had an erasure go on")
    row.refresh_from_db()
    return row


def page_of(row: Erasure) -> str:
    return f"/privacy/erasures/{row.pk}/"


def _require_admin(actor: Actor) -> None:
    if not actor.is_admin:
        raise RoleNeededError("Persons are erased by admins.", "admin")


def _checked(identifiers: Sequence[str], basis: str, reason: str) -> list[str]:
    """The identifiers without spaces around them, each once. Raises InvalidError."""
    errors = []
    texts: dict[bytes, str] = {}
    for place, given in enumerate(identifiers[: MOST + 1]):
        text = unicodedata.normalize("NFC", given.strip())
        fault = _fault(text)
        if fault is not None:
            errors.append(FieldError(f"/identifiers/{place}", *fault))
        else:
            texts.setdefault(mark_of(text), text)
    if not identifiers:
        errors.append(FieldError("/identifiers", "required", "name the person by one at least"))
    if len(identifiers) > MOST:
        errors.append(FieldError("/identifiers", "too_many", f"may have {MOST} entries at most"))
    if basis not in ErasureBasis.values:
        errors.append(FieldError("/basis", "value", "choose a ground"))
    errors += _faults_of_words(reason, "/reason", texts.values(), is_needed=True)
    if errors:
        raise InvalidError("The request breaks a rule.", errors=errors)
    return list(texts.values())


def _fault(text: str) -> tuple[str, str] | None:
    if any(unicodedata.category(sign) in ("Cc", "Cs") for sign in text):
        return "value", "has signs that no identifier has"
    if len(text) < SHORTEST:
        return "too_short", f"needs {SHORTEST} characters: less is not one person's"
    if len(text) > LONGEST:
        return "too_long", f"may have {LONGEST} characters at most"
    return None


def _faults_of_words(
    words: str, pointer: str, identifiers: Iterable[str], *, is_needed: bool = False
) -> list[FieldError]:
    """What people say of an erasure is kept, and so must not name whom it is about."""
    said = words.strip().casefold()
    if is_needed and not said:
        return [FieldError(pointer, "required", "say why, without naming the person")]
    if len(said) > MAX_REASON:
        return [FieldError(pointer, "too_long", f"may have {MAX_REASON} characters at most")]
    if any(text.casefold() in said for text in identifiers):
        return [FieldError(pointer, "names_person", "must not name the person: it is kept")]
    return []


def _decided(
    erasure_id: UUID,
    state: ErasureState,
    actor: Actor,
    note: str,
    revision: int | None,
    **changes: Any,
) -> Erasure:
    _require_admin(actor)
    row = get_erasure(actor, erasure_id)
    if actor.is_person and actor.id == row.requested_by_user:
        raise NotOwnRequestError(
            "Another admin must decide on what you asked for.", "admin", page_of(row)
        )
    if row.state == ErasureState.WAITING:
        known = whom.opened(row.sealed, row.pk)
        errors = _faults_of_words(note, "/reason", known.identifiers)
        if errors:
            raise InvalidError("The decision breaks a rule.", errors=errors)
    _move(row, state, actor, note, revision, **changes)
    return row


def _move(
    row: Erasure,
    state: ErasureState,
    actor: Actor,
    note: str,
    revision: int | None,
    **changes: Any,
) -> None:
    """Decide what still waits: two at once, and who looked at another revision, find it decided."""
    if revision is not None and revision != row.revision:
        raise PreconditionFailedError("It was changed since you read it. Read it again and retry.")
    if state != ErasureState.RUNNING:
        changes["sealed"] = ""
    moved = Erasure.objects.filter(
        pk=row.pk, state=ErasureState.WAITING, revision=row.revision
    ).update(
        state=state, decided_by=actor.label, decided_by_user=actor.id if actor.is_person else 0,
        decided_at=clock.now(), decision=note.strip(), revision=F("revision") + 1, **changes,
    )  # fmt: skip
    if moved != 1:
        raise InvalidStateError("It was decided already.")
    row.refresh_from_db()


def _forgotten(row: Erasure) -> Erasure:
    whom.destroy_keys([whom.sealing_ref(row.pk)], made_until=clock.now() + whom.SETTLE)
    return row


def _transaction() -> str:
    """The number of the present transaction: what began before it is waited for."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()::text")
        return str(cursor.fetchone()[0])


def _counted(n: int) -> str:
    return f"{n} identifier{'' if n == 1 else 's'}"


def _tell_admins(row: Erasure, title: str, sentence: str, actor: Actor) -> None:
    admins = User.objects.filter(groups__name=Role.ADMIN, is_active=True)
    news = News(
        NoticeKind.ERASURE, row.about, title, f"{sentence} It waits for another admin.",
        page_of(row), f"erasure:{row.pk}:asked",
    )  # fmt: skip
    tell(admins.values_list("pk", flat=True), news, by=actor)


def _tell_requester(row: Erasure, title: str, sentence: str, actor: Actor) -> None:
    news = News(
        NoticeKind.ERASURE, row.about, title, sentence, page_of(row),
        f"erasure:{row.pk}:decided",
    )  # fmt: skip
    if row.requested_by_user:
        tell([row.requested_by_user], news, by=actor)
