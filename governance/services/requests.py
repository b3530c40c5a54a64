"""Asking for access and deciding on it: all of it, a part, or for a shorter time. Each step is one
audited transaction."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, transaction

from governance import access, audit, programs
from governance.deciding import require_other
from governance.errors import NotOwnRequestError, PeopleOnlyError, RequestOpenError
from governance.models import AccessRequest, User
from governance.models.access import RequestState
from governance.policies.verdicts import APPROVE, DENY, Verdict
from governance.programs import Program
from governance.selectors.request_policies import Ask, ask_of, days_until, verdict_on
from governance.selectors.requests import find_grant, get_request, grant_row, holder_of
from governance.services.grants import READS, Term, check_fields, check_terms, holds
from governance.services.request_steps import (
    MASKED,
    Wanted,
    asked_in,
    decline_asked,
    grant_asked,
    holder_of_request,
    move,
    tell_deciders,
    tell_of_grant,
)
from governance.types import Permission, ResourceRef
from portal.kernel import clock
from portal.kernel.actor import SYSTEM, Actor
from portal.kernel.errors import FieldError, InvalidError, InvalidStateError

__all__ = [
    "Wanted",
    "accept_agreed",
    "approve_request",
    "ask_for_access",
    "deny_request",
    "renew_grant",
    "verdict_before",
    "withdraw_request",
]
MOST_ACCEPTED: Final = 50
_INBOX: Final = "/access/requests/"


@transaction.atomic
def ask_for_access(
    ref: ResourceRef,
    *,
    actor: Actor,
    purpose: str,
    until: datetime,
    wanted: Wanted = MASKED,
    renews: str = "",
    holder: Program | None = None,
    by_day: bool = False,
) -> AccessRequest:
    """Ask to read a thing's payload for a purpose and until a day; its owner decides, or a policy
    that answers at once: then it comes back approved or denied.

    With a holder it is asked for a program of a team of theirs: that a consumer may read it, or that
    a producer may publish to it. `by_day`: the end is that of a day which was chosen whole. Raises
    NotFoundError when the thing may not be known of, TeamNeededError for a program of another team,
    InvalidError for purpose, term or fields, RequestOpenError when the same is already asked for.
    """
    thing = _askable(ref, actor, holder)
    said = _judged(thing, actor, purpose, until, wanted, holder, renews, by_day=by_day)
    check_terms(purpose, until, term=_term(said, by_day=by_day))
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
                policy=said.as_dict() if said.words else None,
            )
    except IntegrityError as error:
        whose = f"{holder.ref} already has" if holder is not None else "You already have"
        raise RequestOpenError(f"{whose} an open request for it.") from error
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
            "policy": request.policy,
        },
    )
    _answer(request, said, thing, actor)
    return request


def _askable(ref: ResourceRef, actor: Actor, holder: Program | None) -> Any:
    if not actor.is_person:
        raise PeopleOnlyError("access.request")
    thing: Any = access.find_resource(ref)
    access.require(actor, Permission.DISCOVER, thing)
    if holder is not None:
        programs.require_team(holder, actor)
    return thing


def verdict_before(
    ref: ResourceRef,
    *,
    actor: Actor,
    purpose: str,
    until: datetime,
    wanted: Wanted = MASKED,
    renews: str = "",
    holder: Program | None = None,
) -> Verdict:
    """What policies would say of a request whose end is that of a day, which is not sent yet."""
    thing = _askable(ref, actor, holder)
    return _judged(thing, actor, purpose, until, wanted, holder, renews, by_day=True)


def _judged(
    thing: Any,
    actor: Actor,
    purpose: str,
    until: datetime,
    wanted: Wanted,
    holder: Program | None,
    renews: str,
    *,
    by_day: bool,
) -> Verdict:
    now = clock.now()
    days = max(0, (until.date() - now.date()).days) if by_day else days_until(until, now)
    return verdict_on(
        Ask(
            thing, User.objects.get(pk=actor.id), purpose.strip(), days, wanted.fields,
            wanted.personal, wanted.clear, holder.ref.kind if holder is not None else "",
            holder.name if holder is not None else "", bool(renews),
        )
    )  # fmt: skip


def _term(said: Verdict, *, by_day: bool) -> Term:
    by = next((one.policy for one in said.words if one.word == "term"), "")
    return Term(said.longest_days, by_day=by_day, by=by)


def _answer(request: AccessRequest, said: Verdict, thing: Any, actor: Actor) -> None:
    """Answer at once where a policy does, in its name; else tell who decides."""
    policy = replace(SYSTEM, label=f"policy {said.by}", request_id=actor.request_id)
    if said.answer == DENY:
        decline_asked(request, actor=policy, reason=said.reason)
    elif said.answer == APPROVE:
        grant_asked(
            request, asked_in(request), actor=policy, until=request.until, reason=said.reason,
            thing=thing,
        )  # fmt: skip
        tell_of_grant(request, thing, by=actor)
    else:
        tell_deciders(request, thing, actor)


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
        raise NotOwnRequestError(
            "Only who holds a grant asks to prolong it.", "grant.renew", access.ask_url(grant.ref)
        )
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
    asked = asked_in(request)
    given = part or asked
    holder = holder_of_request(request)
    if part is not None:
        _check_wanted(thing, part, holder)
        _check_within(asked, part)
    term = min(request.until, until) if until else request.until
    if term <= clock.now():
        fault = FieldError("/until", "past", "must lie ahead")
        raise InvalidError(
            "The term is over. The person can ask again.", code="term", errors=[fault]
        )
    grant_asked(request, given, actor=actor, until=term, reason=reason, thing=thing)
    return request


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
def accept_agreed(request_ids: Sequence[UUID], *, actor: Actor) -> int:
    """Approve several requests with which policies agree, all of them or none; gives how many.

    Policies are asked again: InvalidStateError where they no longer agree with one of them.
    """
    if not request_ids or len(request_ids) > MOST_ACCEPTED:
        fault = FieldError("/requests", "count", f"1 to {MOST_ACCEPTED} requests")
        raise InvalidError("The requests cannot be accepted so.", errors=[fault])
    for request_id in sorted(set(request_ids)):
        request = _decidable(request_id, actor)
        ask = ask_of(request)
        said = verdict_on(ask) if ask is not None else Verdict()
        if said.stance != "agrees" or request.wants_personal:
            raise InvalidStateError("Policies no longer agree with one of them: look at each.")
        approve_request(request_id, actor=actor, reason="Policies agree.")
    return len(set(request_ids))


@transaction.atomic
def deny_request(request_id: UUID, *, actor: Actor, reason: str) -> AccessRequest:
    """Decline with a reason, which the person who asked will read."""
    if not reason.strip():
        raise InvalidError(
            "Say why.", errors=[FieldError("/reason", "required", "say why, in one line")]
        )
    request = _decidable(request_id, actor)
    decline_asked(request, actor=actor, reason=reason)
    return request


@transaction.atomic
def withdraw_request(request_id: UUID, *, actor: Actor) -> AccessRequest:
    """Take one's own open request back."""
    request = get_request(actor, request_id)
    if not actor.is_person or request.requester_id != actor.id:
        raise NotOwnRequestError(
            "Only the person who asked can withdraw the request.", "request.withdraw", _INBOX
        )
    move(request, RequestState.WITHDRAWN)
    audit.record(
        actor,
        "access.withdrawn",
        ResourceRef(request.resource_kind, request.resource_key),
        summary=f"withdrew the request {request.what}",
    )
    return request


def _owner_of(thing: Any) -> int | None:
    """The team that decides: the thing's own, else its parent's."""
    if thing.owner_team_id is not None:
        return int(thing.owner_team_id)
    parent = getattr(thing, "domain", None)
    return parent.owner_team_id if parent is not None else None


def _decidable(request_id: UUID, actor: Actor) -> AccessRequest:
    request = get_request(actor, request_id)
    ref = ResourceRef(request.resource_kind, request.resource_key)
    require_other(
        actor,
        request.requester_id,
        permission=Permission.APPROVE.value,
        request_at=_INBOX,
        about=ref,
    )
    thing: Any = access.find_resource(ref)
    access.require(actor, Permission.APPROVE, thing)
    return request
