"""Granting, ending, prolonging and confirming, each an audited transaction. A grant is one row of a
decision: who, what, which fields, what for, until when."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.contrib.auth.models import Permission as PermissionRow
from django.contrib.contenttypes.models import ContentType
from django.db import transaction

from governance import access, audit, programs
from governance.models import AccessRequest, Team, User
from governance.programs import Program
from governance.selectors.requests import GrantRow, find_grant, grant_row, holder_of
from governance.types import Permission, ResourceRef
from portal.kernel import clock, rfc3339
from portal.kernel.actor import Actor
from portal.kernel.errors import (
    FieldError,
    InvalidError,
    InvalidStateError,
    NotPermittedError,
)

Holder = User | Team | Program
MAX_TERM: Final = timedelta(days=90)
MAX_AT_ONCE: Final = 500
READS: Final = frozenset({Permission.READ_PAYLOAD, Permission.READ_PERSONAL})
_SHORTEST_PURPOSE: Final = 10
_LONGEST_PURPOSE: Final = 1000


@dataclass(frozen=True, slots=True)
class Terms:
    """What a grant is for and until when; `fields` are the paths it is about, none for all."""

    purpose: str
    until: datetime
    fields: tuple[str, ...] = ()


@transaction.atomic
def grant_access(
    ref: ResourceRef,
    *,
    actor: Actor,
    permission: Permission,
    holder: Holder,
    purpose: str,
    until: datetime,
    fields: Sequence[str] = (),
) -> GrantRow:
    """Grant a permission without a request. The holder is a person, a whole team, a consumer or a
    producer; what a program's keys have no use for is refused at `/permission`.
    """
    thing: Any = access.find_resource(ref)
    access.require(actor, Permission.APPROVE, thing)
    check_terms(purpose, until)
    check_fields(thing, fields if permission in READS else (), pointer="/fields")
    if fields and permission not in READS:
        fault = FieldError("/fields", "not_here", "only a grant to read is about fields")
        raise InvalidError("The grant cannot be about fields.", errors=[fault])
    if not isinstance(holder, (User, Team)):
        programs.check_may_hold(holder, permission, pointer="/permission")
    if isinstance(holder, User) and actor.is_person and holder.pk == actor.id:
        raise NotPermittedError(
            "Nobody grants themselves; somebody else decides.",
            code="own_grant",
            permission=permission.value,
            request_at=access.ask_url(thing.ref),
            about=thing.ref.as_pair(),
        )
    terms = Terms(purpose, until, tuple(sorted(set(fields))))
    row = add_grant(thing, permission, holder, terms, actor=actor)
    audit.record(
        actor,
        "access.granted",
        thing.ref,
        summary=f"granted {_named(holder)} {permission.value} on {thing.ref.key} until {until:%Y-%m-%d}",
        after={"purpose": purpose, "until": rfc3339.spell(until), "fields": list(terms.fields)},
    )
    return grant_row(row, ref.kind, _letter(holder))


@transaction.atomic
def end_grant(grant_id: str, *, actor: Actor) -> GrantRow:
    """End a grant at once: by its holder (of a program's by its team), by who may approve on the
    thing, or by an admin."""
    row, kind, letter = find_grant(actor, grant_id)
    thing = row.content_object
    if not holds(actor, row, letter):
        access.require(actor, Permission.APPROVE, thing)
    touched = (
        type(row)._default_manager.filter(pk=row.pk, revoked_at=None).update(revoked_at=clock.now())
    )
    if touched != 1:
        raise InvalidStateError("The grant has already ended.")
    row.refresh_from_db()
    found = grant_row(row, kind, letter)
    audit.record(
        actor,
        "access.ended",
        thing.ref,
        summary=f"ended {found.permission} of {found.holder} on {thing.ref.key}",
    )
    return found


@transaction.atomic
def recertify(*, actor: Actor, keep: Sequence[str], end: Sequence[str]) -> tuple[int, int]:
    """Look through grants at once: confirm those that are still needed, end the others. Nothing is
    done unless all of it can be; gives how many were confirmed and ended.

    Raises InvalidError for too many or for one that is named twice, NotFoundError and
    NotPermittedError for one that is not the actor's to decide on, InvalidStateError for one that
    has ended.
    """
    named = [*keep, *end]
    if not named or len(named) > MAX_AT_ONCE or len(set(named)) < len(named):
        fault = FieldError("/keep", "count", f"1 to {MAX_AT_ONCE} grants, each named once")
        raise InvalidError("The grants cannot be gone through so.", errors=[fault])
    for grant_id in keep:
        _confirm(grant_id, actor)
    for grant_id in end:
        end_grant(grant_id, actor=actor)
    return len(keep), len(end)


def _confirm(grant_id: str, actor: Actor) -> None:
    row, kind, letter = find_grant(actor, grant_id)
    thing = row.content_object
    access.require(actor, Permission.APPROVE, thing)
    if letter == "u" and actor.is_person and row.user_id == actor.id:
        raise NotPermittedError(
            "Nobody confirms their own grant; somebody else does.",
            code="own_grant",
            permission=Permission.APPROVE.value,
            request_at=access.ask_url(thing.ref),
            about=thing.ref.as_pair(),
        )
    now = clock.now()
    touched = (
        type(row)
        ._default_manager.filter(pk=row.pk, revoked_at=None, valid_until__gt=now)
        .update(confirmed_at=now, confirmed_by=actor.label)
    )
    if touched != 1:
        raise InvalidStateError("The grant has already ended.")
    found = grant_row(row, kind, letter)
    audit.record(
        actor,
        "access.confirmed",
        thing.ref,
        summary=f"confirmed {found.permission} of {found.holder} on {thing.ref.key}",
    )


def holds(actor: Actor, row: Any, letter: str) -> bool:
    """Whether a grant is the actor's own, or of a program of a team of theirs."""
    if not actor.is_person or letter == "g":
        return False
    if letter == "u":
        return bool(row.user_id == actor.id)
    return holder_of(row, letter).owner_team_id in actor.team_ids


def add_grant(
    thing: Any,
    permission: Permission,
    holder: Holder,
    terms: Terms,
    *,
    actor: Actor,
    request: AccessRequest | None = None,
) -> Any:
    """Write the row of a decision; one that stands for the same holder, permission and fields is
    renewed. The caller has judged who decides, and keeps the record of it."""
    protected = access.protected_kinds()[thing.ref.kind]
    permission_row = PermissionRow.objects.get(
        content_type=ContentType.objects.get_for_model(type(thing)),
        codename=f"{permission.value}_{thing.ref.kind}",
    )
    values = {
        "valid_from": clock.now(),
        "valid_until": terms.until,
        "revoked_at": None,
        "purpose": terms.purpose.strip(),
        "granted_by": actor.label,
        "request": request,
        "confirmed_at": None,
        "confirmed_by": "",
    }
    same = {
        "permission": permission_row, "content_object": thing, "fields": list(terms.fields),
        "defaults": values,
    }  # fmt: skip
    table: Any
    column: dict[str, Any]
    if isinstance(holder, Team):
        table, column = protected.group_grants, {"group": holder.group}
    elif isinstance(holder, User):
        table, column = protected.user_grants, {"user": holder}
    else:
        kind = programs.kind_of(holder)
        table, column = protected.program_grants[kind], {kind.value: holder}
    found, _ = table._default_manager.update_or_create(**column, **same)
    return found


def _letter(holder: Holder) -> str:
    if isinstance(holder, User):
        return "u"
    return "g" if isinstance(holder, Team) else programs.letter_of(holder)


def _named(holder: Holder) -> str:
    """How the log names who holds a grant."""
    return str(holder if isinstance(holder, (User, Team)) else holder.ref)


def check_terms(purpose: str, until: datetime) -> None:
    """Raises InvalidError unless there is a purpose of some words and an end within the longest
    term."""
    faults = []
    if len(purpose.strip()) < _SHORTEST_PURPOSE:
        faults.append(
            FieldError("/purpose", "too_short", "say what for, in ten characters or more")
        )
    if len(purpose) > _LONGEST_PURPOSE:
        faults.append(FieldError("/purpose", "too_long", "at most 1,000 characters"))
    now = clock.now()
    if until <= now:
        faults.append(FieldError("/until", "past", "must lie ahead"))
    elif until > now + MAX_TERM + timedelta(days=1):
        faults.append(FieldError("/until", "too_long", f"at most {MAX_TERM.days} days from now"))
    if faults:
        raise InvalidError("The request needs a purpose and a term.", errors=faults)


def check_fields(thing: Any, fields: Sequence[str], *, pointer: str) -> None:
    """Raises InvalidError for a path that is none of the thing's fields."""
    if not fields:
        return
    known = access.fields_of(thing)
    if known is None:
        fault = FieldError(pointer, "not_here", f"a {thing.ref.kind} is granted whole")
        raise InvalidError("No fields can be named here.", errors=[fault])
    faults = [
        FieldError(f"{pointer}/{place}", "unknown", "names no field of the contract")
        for place, path in enumerate(fields)
        if path not in known
    ]
    if faults:
        raise InvalidError("Some fields are not known.", errors=faults[:20])
