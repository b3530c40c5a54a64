"""Steps that asking for access and deciding on it share: what is wanted, moving a request to its end,
writing its grants, and telling who waits. Each runs in its caller's transaction."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from governance import access, audit, programs
from governance.models import AccessRequest
from governance.models.access import RequestState
from governance.programs import Program
from governance.services.grants import Terms, add_grant
from governance.services.notices import News, tell
from governance.types import NoticeKind, Permission, ResourceRef
from portal.kernel import clock, rfc3339
from portal.kernel.actor import Actor
from portal.kernel.errors import InvalidError, InvalidStateError


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be read: `fields` none for all there are, personal ones masked, unless `personal`:
    then those of `clear` as they are, none for all."""

    fields: tuple[str, ...] = ()
    personal: bool = False
    clear: tuple[str, ...] = ()


MASKED: Final = Wanted()  # all there is, personal fields masked


def grant_asked(
    request: AccessRequest,
    given: Wanted,
    *,
    actor: Actor,
    until: datetime,
    reason: str,
    thing: Any,
) -> None:
    """Settle a request by grants of what is given, until a moment; tells who asked."""
    holder = holder_of_request(request)
    settle(
        request, RequestState.APPROVED, actor, reason,
        granted_until=until, granted_fields=sorted(given.fields), granted_personal=given.personal,
        granted_clear=sorted(given.clear),
    )  # fmt: skip
    permissions = {Permission.READ_PAYLOAD: given.fields}
    if request.is_to_publish:
        permissions = {Permission.PUBLISH: ()}
    elif given.personal:
        permissions[Permission.READ_PERSONAL] = given.clear or given.fields
    for permission, fields in permissions.items():
        terms = Terms(request.purpose, until, tuple(sorted(fields)))
        to = holder or request.requester
        add_grant(thing, permission, to, terms, actor=actor, request=request)
    is_less = given != asked_in(request) or until < request.until
    said = f"{'Granted in part, ' if is_less else 'Granted '}until {until:%Y-%m-%d}."
    tell_requester(request, f"{said} {reason.strip()}", actor)
    audit.record(
        actor,
        "access.granted",
        thing.ref,
        summary=f"granted {_whom(request)} {' and '.join(permissions)} "
        f"on {thing.ref.key} until {until:%Y-%m-%d}",
        after={
            "purpose": request.purpose, "reason": reason, "until": rfc3339.spell(until),
            "fields": request.granted_fields, "clear": request.granted_clear,
            "policy": request.policy,
        },
    )  # fmt: skip


def decline_asked(request: AccessRequest, *, actor: Actor, reason: str) -> None:
    """Settle a request by declining it; tells who asked why."""
    settle(request, RequestState.DENIED, actor, reason)
    tell_requester(request, f"Declined: {reason.strip()}", actor)
    audit.record(
        actor,
        "access.denied",
        ResourceRef(request.resource_kind, request.resource_key),
        summary=f"declined the request of {request.requester.email} {request.what}",
        after={"reason": reason, "policy": request.policy},
    )


def asked_in(request: AccessRequest) -> Wanted:
    """What a request asks to read."""
    return Wanted(tuple(request.fields), request.wants_personal, tuple(request.clear))


def holder_of_request(request: AccessRequest) -> Program | None:
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


def tell_deciders(request: AccessRequest, thing: Any, actor: Actor) -> None:
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


def tell_of_grant(request: AccessRequest, thing: Any, *, by: Actor) -> None:
    """Tell who would have decided that a policy granted it."""
    ref = ResourceRef(request.resource_kind, request.resource_key)
    news = News(
        NoticeKind.REQUEST_DECIDED,
        ref,
        f"A policy granted {by.label} {request.what}",
        f"Until {request.until:%Y-%m-%d}, for: {request.purpose}",
        "/access/",
        f"answered:{request.pk}",
    )
    tell(access.holders(Permission.APPROVE, thing), news, by=by)


def tell_requester(request: AccessRequest, sentence: str, actor: Actor) -> None:
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


def settle(
    request: AccessRequest, state: RequestState, actor: Actor, reason: str, **granted: Any
) -> None:
    move(
        request,
        state,
        decided_at=clock.now(),
        decided_by_id=actor.id if actor.is_person else None,
        decision_reason=reason.strip(),
        **granted,
    )


def move(request: AccessRequest, state: RequestState, **changes: Any) -> None:
    moved = AccessRequest.objects.filter(pk=request.pk, state=RequestState.OPEN).update(
        state=state, updated_at=clock.now(), **changes
    )
    if moved != 1:
        raise InvalidStateError("The request is no longer open.")
    request.refresh_from_db()
