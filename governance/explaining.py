"""Why somebody may not, or not all of it: what they held and lost, what waits, what is masked or left
out, and who could give it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from django.db.models import Q

from governance import access, programs
from governance.grant_words import end_of, name_of
from governance.models import AccessRequest, Team
from governance.models.access import RequestState
from governance.projection import NOTHING, covers, projection
from governance.types import Governed, Permission
from portal.kernel.actor import ALL_SCOPES, Actor

MAX_FIELDS: Final = 500
_SHOWN: Final = 3
_LOOKED_AT: Final = 20
_PERSONAL: Final = frozenset({"personal", "sensitive"})


@dataclass(frozen=True, slots=True)
class UnseenField:
    """A field that somebody does not see as it is: `how` is masked or left_out, `why` a sentence."""

    path: str
    how: str
    why: str


def why_not(actor: Actor, permission: Permission, thing: Governed) -> list[str]:
    """Sentences on why a permission is not held, the nearest first; empty when it is held. For who may
    know of the thing alone: it names who decides."""
    if access.may(actor, permission, thing):
        return []
    if not actor.is_person:
        return _why_not_a_key(actor, permission, thing)
    found = []
    if lacking := _lacking_scope(actor, permission):
        found.append(f"This token lacks the scope {lacking}.")
        whole = replace(actor, scopes=ALL_SCOPES)
        if access.may(whole, permission, thing):
            return found
    found += _ended(actor, permission, thing)
    found += _asked(Q(requester_id=actor.id, holder_kind=""), "Your request", thing)
    found.append(_who_gives(permission, thing))
    return found


def _lacking_scope(actor: Actor, permission: Permission) -> str:
    """The scope that a token would need: the permission's own, or that of the admin's role."""
    if access.SCOPE[permission] not in actor.scopes:
        return access.SCOPE[permission]
    gives = permission in access.BY_ROLE["admin"]
    return "admin" if gives and actor.has_role("admin") and not actor.is_admin else ""


def _why_not_a_key(actor: Actor, permission: Permission, thing: Governed) -> list[str]:
    if not programs.may_hold(actor.kind, permission):
        return [f"The keys of a {actor.kind.value} cannot hold {permission.value}."]
    found = []
    if not access.is_reached(actor, thing):
        found.append(f"The key is for {actor.streams}, which does not cover it.")
    found += _ended(actor, permission, thing)
    mine = Q(holder_kind=actor.kind.value, holder_id=actor.id)
    found += _asked(mine, f"The request for this {actor.kind.value}", thing)
    return [
        *found,
        f"Keys hold what is open and what a grant to their holder gives; {_decider(thing)} decides.",
    ]


def _ended(actor: Actor, permission: Permission, thing: Governed) -> list[str]:
    """What they held of it and hold no longer, the latest first."""
    return [
        f"{name_of(row, permission, thing.ref.kind)} {end_of(row)}; it was for: {row.purpose}"
        for row, _ in access.ended_rows(actor, permission, thing, most=_SHOWN)
    ]


def _asked(mine: Q, what: str, thing: Governed) -> list[str]:
    """What waits, on the thing or on what it lies in, and what was declined last."""
    places = Q()
    for level in access.levels_of(thing):
        places |= Q(resource_kind=level.ref.kind, resource_key=level.ref.key)
    rows = AccessRequest.objects.filter(mine, places).order_by("-created_at")
    found = [
        f"{what} of {row.created_at:%Y-%m-%d} waits for an answer."
        for row in rows.filter(state=RequestState.OPEN)[:_SHOWN]
    ]
    last = rows.exclude(state__in=[RequestState.OPEN, RequestState.WITHDRAWN]).first()
    if last is not None and last.state == RequestState.DENIED:
        said = f": {last.decision_reason}" if last.decision_reason else "."
        found.append(f"{what} of {last.created_at:%Y-%m-%d} was declined{said}")
    return found


def _decider(thing: Governed) -> str:
    parent = getattr(thing, "domain", None)
    owner = thing.owner_team_id or getattr(parent, "owner_team_id", None)
    team = Team.objects.filter(pk=owner).first() if owner is not None else None
    return f"team {team.name}" if team is not None else "an admin, as it has no owner team"


def _who_gives(permission: Permission, thing: Governed) -> str:
    who = _decider(thing)
    if permission is Permission.READ_PERSONAL:
        return f"Personal fields are shown by grant alone, whatever the role; {who} decides."
    return f"Neither a role, nor owning it, nor a grant gives it to you; {who} decides."


def unseen_fields(actor: Actor, thing: Any) -> list[UnseenField]:
    """The fields of a thing that are masked for somebody who may read it, or left out, each with why;
    at most MAX_FIELDS, in the order of the contract. None where nothing may be read at all."""
    seen = projection(actor, thing)
    fields = access.fields_of(thing)
    if seen == NOTHING or not fields or seen.is_whole:
        return []
    hidden = [path for path in fields if not seen.shows(path) and not seen.leads_to_shown(path)]
    masked = [
        path
        for path, classification in fields.items()
        if classification in _PERSONAL and seen.shows(path) and not seen.is_clear(path)
    ]
    who = _decider(thing)
    out = _why_left_out(actor, thing, who) if hidden else _Why("", [])
    mask = _why_masked(actor, thing, who, bool(seen.clear)) if masked else _Why("", [])
    is_out, is_masked = set(hidden), set(masked)
    told = [
        UnseenField(path, "left_out", out.of(path))
        if path in is_out
        else UnseenField(path, "masked", mask.of(path))
        for path in fields
        if path in is_out or path in is_masked
    ]
    return told[:MAX_FIELDS]


@dataclass(frozen=True, slots=True)
class _Why:
    """Why fields are not seen: what is so of all of them, and grants that ended, with their fields."""

    of_all: str
    ended: Sequence[tuple[Sequence[str], str]]

    def of(self, path: str) -> str:
        gone = next((said for fields, said in self.ended if not fields or covers(fields, path)), "")
        return f"{gone} {self.of_all}".strip()


def _why_left_out(actor: Actor, thing: Any, who: str) -> _Why:
    whose = "Your grants name" if actor.is_person else "The grants of the key's holder name"
    return _Why(
        f"{whose} other fields; {who} decides.", _ended_of(actor, Permission.READ_PAYLOAD, thing)
    )


def _why_masked(actor: Actor, thing: Any, who: str, names_others: bool) -> _Why:
    if names_others:
        of_all = f"The grant to read personal fields names others; {who} decides."
    elif actor.is_person:
        of_all = _who_gives(Permission.READ_PERSONAL, thing)
    else:
        of_all = f"Personal fields are shown by a grant to the key's holder alone; {who} decides."
    return _Why(of_all, _ended_of(actor, Permission.READ_PERSONAL, thing))


def _ended_of(actor: Actor, permission: Permission, thing: Any) -> list[tuple[Sequence[str], str]]:
    return [
        (row.fields, f"{name_of(row, permission, thing.ref.kind)} {end_of(row)}.")
        for row, _ in access.ended_rows(actor, permission, thing, most=_LOOKED_AT)
    ]
