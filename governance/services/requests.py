"""Asking for access and deciding on it: all of it, a part, or for a shorter time. Each step is one
audited transaction."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from governance import access, audit, programs
from governance.errors import NotOwnRequestError, PeopleOnlyError, RequestOpenError
from governance.models import AccessRequest
from governance.models.access import RequestState
from governance.programs import Program
from governance.selectors.delegations import is_deputy_of
from governance.selectors.requests import find_grant, get_request, grant_row, holder_of
from governance.services.grants import (
    READS,
    Terms,
    add_grant,
    check_fields,
    check_terms,
    holds,
)
from governance.services.notices import News, tell
from governance.types import NoticeKind, Permission, ResourceRef
from portal.kernel import clock, rfc3339
from portal.kernel.actor import Actor
from portal.kernel.errors import FieldError, InvalidError, InvalidStateError


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be read: `fields` none for all there are, personal ones masked, unless `personal`:
    then those of `clear` as they are, none for all."""

    fields: tuple[str, ...] = ()
    personal: bool = False
    clear: tuple[str, ...] = ()


@transaction.atomic
def ask_for_access(
    ref: ResourceRef,
    *,
    actor: Actor,
    purpose: str,
    until: datetime,
    wanted: Wanted = Wanted(),
    renews: str = "",
    holder: Program | None = None,
) -> AccessRequest:
    """Ask to read a thing's payload for a purpose and until a day; its owner decides.

    With a holder it is asked for a program of a team of theirs: that a consumer may read it, or that
    a producer may publish to it. Raises NotFoundError when the thing may not be known of,
    TeamNeededError for a program of another team, InvalidError for purpose, term or fields,
    RequestOpenError when the same is already asked for.
    """
    if not actor.is_person:
        raise PeopleOnlyError("access.request")
    thing: Any = access.find_resource(ref)
    access.require(actor, Permission.DISCOVER, thing)
    if holder is not None:
        programs.require_team(holder, actor)
    check_terms(purpose, until)
    _check_wanted(thing, wanted, holder)
    ref = thing.ref  # its name, where an alias was given
    try:
        with transaction.atomic():
            request = AccessRequest.objects.create(
                resource_kind=ref.kind,
                resource_key=ref.key,
                owner_team_id=_owner_of(thing),
                requester_id=actor.id,
                holder_kind=holder.ref.kind if holder is not None else "",
                holder_id=holder.pk if holder is not None else None,
                holder_name=holder.name if holder is not None else "",
                wants_personal=wanted.personal,
                fields=sorted(set(wanted.fields)),
                clear=sorted(set(wanted.clear)),
                purpose=purpose.strip(),
                until=until,
                renews=renews,
            )
    except IntegrityError as error:
        said = f"{holder.ref} already has" if holder is not None else "You already have"
        raise RequestOpenError(f"{said} an open request for it.") from error
    _tell_deciders(request, thing, actor)
    audit.record(
        actor,
        "access.requested",
        ref,
        summary=f"asked {request.what} until {until:%Y-%m-%d}",
        after={
            "for": request.holder or None,
            "personal": wanted.personal,
            "purpose": purpose.strip(),
            "fields": request.fields,
            "clear": request.clear,
        },
    )
    return request


def renew_grant(
    grant_id: str, *, actor: Actor, until: datetime, purpose: str = ""
) -> AccessRequest:
    """Ask to prolong a grant of one's own, or of a program of one's team, as it is: its fields, and
    its purpose unless another is given.

    Raises NotFoundError for a grant that is not known, NotOwnRequestError for another's,
    InvalidStateError for one that neither reads nor publishes.
    """
    row, kind, letter = find_grant(actor, grant_id)
    grant = grant_row(row, kind, letter)
    holder: Program | None = holder_of(row, letter) if grant.is_of_program else None
    is_own = holds(actor, row, letter) or (letter == "g" and _is_member(row, actor))
    if not (actor.is_person and (is_own or (holder is not None and actor.is_admin))):
        raise NotOwnRequestError("Only who holds a grant asks to prolong it.")
    if grant.permission not in READS and not (letter == "p" and grant.permission == "publish"):
        raise InvalidStateError("Only a grant to read, or to publish, is prolonged by a request.")
    is_personal = grant.permission == Permission.READ_PERSONAL
    fields = tuple(row.fields)
    wanted = Wanted((), personal=True, clear=fields) if is_personal else Wanted(fields)
    return ask_for_access(
        grant.ref, actor=actor, purpose=purpose or grant.purpose, until=until, wanted=wanted,
        renews=grant_id, holder=holder,
    )  # fmt: skip


def _is_member(row: Any, actor: Actor) -> bool:
    team = getattr(row.group, "team", None)
    return team is not None and team.pk in actor.team_ids


@transaction.atomic
def approve_request(
    request_id: UUID,
    *,
    actor: Actor,
    reason: str = "",
    until: datetime | None = None,
    part: Wanted | None = None,
) -> AccessRequest:
    """Grant what was asked or a part of it, at most as long. Never by the one who asked.

    Raises InvalidError for a part that holds more than was asked, and when the term is over;
    InvalidStateError when the program it was asked for is gone.
    """
    request = _decidable(request_id, actor)
    thing: Any = access.find_resource(ResourceRef(request.resource_kind, request.resource_key))
    asked = Wanted(tuple(request.fields), request.wants_personal, tuple(request.clear))
    given = part or asked
    holder = _holder_of(request)
    if part is not None:
        _check_wanted(thing, part, holder)
        _check_within(asked, part)
    term = min(request.until, until) if until else request.until
    if term <= clock.now():
        fault = FieldError("/until", "past", "must lie ahead")
        raise InvalidError(
            "The term is over. The person can ask again.", code="term", errors=[fault]
        )
    _settle(
        request, RequestState.APPROVED, actor, reason,
        granted_until=term, granted_fields=sorted(given.fields), granted_personal=given.personal,
        granted_clear=sorted(given.clear),
    )  # fmt: skip
    permissions = {Permission.READ_PAYLOAD: given.fields}
    if request.is_to_publish:
        permissions = {Permission.PUBLISH: ()}
    elif given.personal:
        permissions[Permission.READ_PERSONAL] = given.clear or given.fields
    for permission, fields in permissions.items():
        terms = Terms(request.purpose, term, tuple(sorted(fields)))
        to = holder or request.requester
        add_grant(thing, permission, to, terms, actor=actor, request=request)
    is_less = given != asked or term < request.until
    said = f"{'Granted in part, ' if is_less else 'Granted '}until {term:%Y-%m-%d}."
    _tell_requester(request, f"{said} {reason.strip()}", actor)
    audit.record(
        actor,
        "access.granted",
        thing.ref,
        summary=f"granted {_whom(request)} {' and '.join(permissions)} "
        f"on {thing.ref.key} until {term:%Y-%m-%d}",
        after={
            "purpose": request.purpose, "reason": reason, "until": rfc3339.spell(term),
            "fields": request.granted_fields, "clear": request.granted_clear,
        },
    )  # fmt: skip
    return request


def _holder_of(request: AccessRequest) -> Program | None:
    """The program that a request is for, None where somebody asks for themselves."""
    if not request.holder:
        return None
    gone = f"{request.holder} is gone since it was asked for."
    try:
        found = programs.get(request.holder, pointer="/for")
    except InvalidError as error:
        raise InvalidStateError(gone) from error
    if found.pk != request.holder_id:  # another has its name now
        raise InvalidStateError(gone)
    return found


def _whom(request: AccessRequest) -> str:
    return request.holder or request.requester.email


def _check_wanted(thing: Any, wanted: Wanted, holder: Program | None) -> None:
    if holder is not None and not programs.may_hold(
        programs.kind_of(holder), Permission.READ_PAYLOAD
    ):
        _check_no_fields(wanted)
    check_fields(thing, wanted.fields, pointer="/fields")
    check_fields(thing, wanted.clear, pointer="/clear")
    known = access.fields_of(thing) or {}
    faults = []
    if wanted.clear and not wanted.personal:
        faults.append(FieldError("/clear", "not_here", "goes with personal"))
    for place, path in enumerate(wanted.clear):
        if wanted.fields and path not in wanted.fields:
            faults.append(FieldError(f"/clear/{place}", "not_asked", "is none of the fields"))
        elif known.get(path) not in ("personal", "sensitive"):
            faults.append(FieldError(f"/clear/{place}", "not_personal", "is not masked at all"))
    if faults:
        raise InvalidError("The fields do not fit together.", errors=faults[:20])


def _check_no_fields(wanted: Wanted) -> None:
    """A producer publishes: there is nothing that it would see."""
    said = {"/fields": wanted.fields, "/personal": wanted.personal, "/clear": wanted.clear}
    faults = [
        FieldError(pointer, "not_here", "a producer publishes, and reads nothing")
        for pointer, value in said.items()
        if value
    ]
    if faults:
        raise InvalidError("A producer reads nothing.", errors=faults)


def _check_within(asked: Wanted, part: Wanted) -> None:
    """Nobody is granted what they did not ask for."""
    faults = []
    if asked.fields and not (part.fields and set(part.fields) <= set(asked.fields)):
        faults.append(FieldError("/fields", "not_asked", "some of them were not asked for"))
    if part.personal and not asked.personal:
        faults.append(FieldError("/personal", "not_asked", "was not asked for"))
    if part.personal and asked.clear and not (part.clear and set(part.clear) <= set(asked.clear)):
        faults.append(FieldError("/clear", "not_asked", "some of them were not asked for"))
    if faults:
        raise InvalidError("That is more than was asked for.", errors=faults)


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
        summary=f"declined the request of {request.requester.email} {request.what}",
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
        summary=f"withdrew the request {request.what}",
    )
    return request


def _tell_deciders(request: AccessRequest, thing: Any, actor: Actor) -> None:
    ref = ResourceRef(request.resource_kind, request.resource_key)
    news = News(
        NoticeKind.REQUEST_WAITING,
        ref,
        f"{actor.label} asks {request.what}",
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
        f"Your request {request.what} is decided",
        sentence.strip(),
        "/access/",
        f"request:{request.pk}",
    )
    tell([request.requester_id], news, by=actor)


def _owner_of(thing: Any) -> int | None:
    """The team that decides: the thing's own, else its parent's."""
    if thing.owner_team_id is not None:
        return int(thing.owner_team_id)
    parent = getattr(thing, "domain", None)
    return parent.owner_team_id if parent is not None else None


def _decidable(request_id: UUID, actor: Actor) -> AccessRequest:
    request = get_request(actor, request_id)
    ref = ResourceRef(request.resource_kind, request.resource_key)
    if request.requester_id == actor.id and actor.is_person:
        said = "Somebody else must decide on your own request."
        raise NotOwnRequestError(said, permission="approve", about=ref.as_pair())
    if is_deputy_of(actor, request.requester_id):
        said = "You decide for who asked: somebody else must decide on it."
        raise NotOwnRequestError(said, permission="approve", about=ref.as_pair())
    thing: Any = access.find_resource(ref)
    access.require(actor, Permission.APPROVE, thing)
    return request


def _settle(
    request: AccessRequest, state: RequestState, actor: Actor, reason: str, **granted: Any
) -> None:
    _move(
        request,
        state,
        decided_at=clock.now(),
        decided_by_id=actor.id if actor.is_person else None,
        decision_reason=reason.strip(),
        **granted,
    )


def _move(request: AccessRequest, state: RequestState, **changes: Any) -> None:
    moved = AccessRequest.objects.filter(pk=request.pk, state=RequestState.OPEN).update(
        state=state, updated_at=clock.now(), **changes
    )
    if moved != 1:
        raise InvalidStateError("The request is no longer open.")
    request.refresh_from_db()
