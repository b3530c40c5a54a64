"""Asking for access, deciding, granting and ending it. Each step is one audited transaction."""

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.contrib.auth.models import Permission as PermissionRow
from django.contrib.contenttypes.models import ContentType
from django.db import IntegrityError, transaction

from governance import access, audit
from governance.errors import NotOwnRequestError, PeopleOnlyError, RequestOpenError
from governance.models import AccessRequest, Team, User
from governance.models.access import RequestState
from governance.selectors.requests import GrantRow, find_grant, get_request, grant_row
from governance.services.notices import News, tell
from governance.types import NoticeKind, Permission, ResourceRef
from portal.kernel import clock, rfc3339
from portal.kernel.actor import Actor
from portal.kernel.errors import (
    FieldError,
    InvalidError,
    InvalidStateError,
    NotPermittedError,
)

MAX_TERM: Final = timedelta(days=90)
_SHORTEST_PURPOSE: Final = 10
_LONGEST_PURPOSE: Final = 1000


@transaction.atomic
def ask_for_access(
    ref: ResourceRef,
    *,
    actor: Actor,
    purpose: str,
    until: datetime,
    wants_personal: bool = False,
) -> AccessRequest:
    """Ask to read a thing's payload for a purpose and until a day; its owner decides.

    Raises NotFoundError when the thing may not be known of, InvalidError for purpose or term,
    RequestOpenError when the same person already asks for it.
    """
    if not actor.is_person:
        raise PeopleOnlyError("access.request")
    thing: Any = access.find_resource(ref)
    access.require(actor, Permission.DISCOVER, thing)
    _check_terms(purpose, until)
    ref = thing.ref  # its name, where an alias was given
    try:
        with transaction.atomic():
            request = AccessRequest.objects.create(
                resource_kind=ref.kind,
                resource_key=ref.key,
                owner_team_id=_owner_of(thing),
                requester_id=actor.id,
                wants_personal=wants_personal,
                purpose=purpose.strip(),
                until=until,
            )
    except IntegrityError as error:
        raise RequestOpenError("You already have an open request for it.") from error
    _tell_deciders(request, thing, actor)
    audit.record(
        actor,
        "access.requested",
        ref,
        summary=f"asked to read {ref.key} until {until:%Y-%m-%d}",
        after={"personal": wants_personal, "purpose": purpose.strip()},
    )
    return request


@transaction.atomic
def approve_request(
    request_id: UUID, *, actor: Actor, reason: str = "", until: datetime | None = None
) -> AccessRequest:
    """Grant what was asked, at most as long. Never by the one who asked."""
    request = _decidable(request_id, actor)
    thing: Any = access.find_resource(ResourceRef(request.resource_kind, request.resource_key))
    term = min(request.until, until) if until else request.until
    if term <= clock.now():
        raise InvalidError("The term asked for is over. The person can ask again.", code="term")
    _settle(request, RequestState.APPROVED, actor, reason)
    permissions = [Permission.READ_PAYLOAD]
    if request.wants_personal:
        permissions.append(Permission.READ_PERSONAL)
    for permission in permissions:
        _add_grant(thing, permission, request.requester, request.purpose, term, actor, request)
    _tell_requester(request, f"Granted until {term:%Y-%m-%d}. {reason.strip()}", actor)
    audit.record(
        actor,
        "access.granted",
        thing.ref,
        summary=f"granted {request.requester.email} {' and '.join(permissions)} "
        f"on {thing.ref.key} until {term:%Y-%m-%d}",
        after={"purpose": request.purpose, "reason": reason, "until": rfc3339.spell(term)},
    )
    return request


@transaction.atomic
def deny_request(request_id: UUID, *, actor: Actor, reason: str) -> AccessRequest:
    """Decline with a reason, which the person who asked will read."""
    if not reason.strip():
        raise InvalidError(
            "Say why.", errors=[FieldError("/reason", "required", "say why, in one line")]
        )
    request = _decidable(request_id, actor)
    _settle(request, RequestState.DENIED, actor, reason)
    _tell_requester(request, f"Declined: {reason.strip()}", actor)
    audit.record(
        actor,
        "access.denied",
        ResourceRef(request.resource_kind, request.resource_key),
        summary=f"declined the request of {request.requester.email}",
        after={"reason": reason},
    )
    return request


@transaction.atomic
def withdraw_request(request_id: UUID, *, actor: Actor) -> AccessRequest:
    """Take one's own open request back."""
    request = get_request(actor, request_id)
    if not actor.is_person or request.requester_id != actor.id:
        raise NotOwnRequestError("Only the person who asked can withdraw the request.")
    _move(request, RequestState.WITHDRAWN)
    audit.record(
        actor,
        "access.withdrawn",
        ResourceRef(request.resource_kind, request.resource_key),
        summary=f"withdrew the request for {request.resource_key}",
    )
    return request


@transaction.atomic
def grant_access(
    ref: ResourceRef,
    *,
    actor: Actor,
    permission: Permission,
    holder: User | Team,
    purpose: str,
    until: datetime,
) -> GrantRow:
    """Grant a permission without a request. The holder is a person or a whole team."""
    thing: Any = access.find_resource(ref)
    access.require(actor, Permission.APPROVE, thing)
    _check_terms(purpose, until)
    if isinstance(holder, User) and actor.is_person and holder.pk == actor.id:
        raise NotPermittedError(
            "Nobody grants themselves; somebody else decides.",
            code="own_grant",
            permission=permission.value,
            request_at=access.ask_url(thing.ref),
        )
    row = _add_grant(thing, permission, holder, purpose, until, actor, None)
    audit.record(
        actor,
        "access.granted",
        thing.ref,
        summary=f"granted {holder} {permission.value} on {thing.ref.key} until {until:%Y-%m-%d}",
        after={"purpose": purpose, "until": rfc3339.spell(until)},
    )
    return grant_row(row, ref.kind, "g" if isinstance(holder, Team) else "u")


@transaction.atomic
def end_grant(grant_id: str, *, actor: Actor) -> GrantRow:
    """End a grant at once: by its holder, by who may approve on the thing, or by an admin."""
    row, kind, letter = find_grant(actor, grant_id)
    thing = row.content_object
    is_holder = actor.is_person and letter == "u" and row.user_id == actor.id
    if not is_holder:
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


def _tell_deciders(request: AccessRequest, thing: Any, actor: Actor) -> None:
    ref = ResourceRef(request.resource_kind, request.resource_key)
    news = News(
        NoticeKind.REQUEST_WAITING,
        ref,
        f"{actor.label} asks to read {ref.key}",
        f"Until {request.until:%Y-%m-%d}, for: {request.purpose}",
        "/access/",
        f"request:{request.pk}",
    )
    tell(access.holders(Permission.APPROVE, thing), news, by=actor)


def _tell_requester(request: AccessRequest, sentence: str, actor: Actor) -> None:
    ref = ResourceRef(request.resource_kind, request.resource_key)
    news = News(
        NoticeKind.REQUEST_DECIDED,
        ref,
        f"Your request to read {ref.key} is decided",
        sentence.strip(),
        "/access/",
        f"request:{request.pk}",
    )
    tell([request.requester_id], news, by=actor)


def _check_terms(purpose: str, until: datetime) -> None:
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


def _owner_of(thing: Any) -> int | None:
    """The team that decides: the thing's own, else its parent's."""
    if thing.owner_team_id is not None:
        return int(thing.owner_team_id)
    parent = getattr(thing, "domain", None)
    return parent.owner_team_id if parent is not None else None


def _decidable(request_id: UUID, actor: Actor) -> AccessRequest:
    request = get_request(actor, request_id)
    if request.requester_id == actor.id and actor.is_person:
        raise NotOwnRequestError("Somebody else must decide on your own request.")
    thing: Any = access.find_resource(ResourceRef(request.resource_kind, request.resource_key))
    access.require(actor, Permission.APPROVE, thing)
    return request


def _settle(request: AccessRequest, state: RequestState, actor: Actor, reason: str) -> None:
    _move(
        request,
        state,
        decided_at=clock.now(),
        decided_by_id=actor.id if actor.is_person else None,
        decision_reason=reason.strip(),
    )


def _move(request: AccessRequest, state: RequestState, **changes: Any) -> None:
    moved = AccessRequest.objects.filter(pk=request.pk, state=RequestState.OPEN).update(
        state=state, updated_at=clock.now(), **changes
    )
    if moved != 1:
        raise InvalidStateError("The request is no longer open.")
    request.refresh_from_db()


def _add_grant(
    thing: Any,
    permission: Permission,
    holder: User | Team,
    purpose: str,
    until: datetime,
    actor: Actor,
    request: AccessRequest | None,
) -> Any:
    """Write the row; one that stands for the same holder and permission is renewed."""
    protected = access.protected_kinds()[thing.ref.kind]
    row = PermissionRow.objects.get(
        content_type=ContentType.objects.get_for_model(type(thing)),
        codename=f"{permission.value}_{thing.ref.kind}",
    )
    terms = {
        "valid_from": clock.now(),
        "valid_until": until,
        "revoked_at": None,
        "purpose": purpose.strip(),
        "granted_by": actor.label,
        "request": request,
    }
    if isinstance(holder, Team):
        found, _ = protected.group_grants._default_manager.update_or_create(
            group=holder.group, permission=row, content_object=thing, defaults=terms
        )
    else:
        found, _ = protected.user_grants._default_manager.update_or_create(
            user=holder, permission=row, content_object=thing, defaults=terms
        )
    return found
