"""Why somebody may not: what they held and lost, what waits, and who could give it."""

from typing import Any, Final

from django.db.models import Q

from governance import access
from governance.models import AccessRequest, Team
from governance.models.access import RequestState
from governance.types import Governed, Permission
from portal.kernel import clock
from portal.kernel.actor import Actor

_SHOWN: Final = 3


def why_not(actor: Actor, permission: Permission, thing: Governed) -> list[str]:
    """Sentences on why a permission is not held, the nearest first; empty when it is held. For who may
    know of the thing alone: it names who decides."""
    if access.may(actor, permission, thing):
        return []
    if not actor.is_person:
        who = _decider(thing)
        return [f"Keys hold what is open and what a grant to their holder gives; {who} decides."]
    found = []
    if access.SCOPE[permission] not in actor.scopes:
        found.append(f"This token lacks the scope {access.SCOPE[permission]}.")
    found += _ended(actor, permission, thing)
    waiting = AccessRequest.objects.filter(
        requester_id=actor.id, holder_kind="", state=RequestState.OPEN,
        resource_kind=thing.ref.kind, resource_key=thing.ref.key,
    )  # fmt: skip
    found += [f"Your request of {row.created_at:%Y-%m-%d} waits for an answer." for row in waiting]
    found.append(_who_gives(permission, thing))
    return found


def _ended(actor: Actor, permission: Permission, thing: Governed) -> list[str]:
    """What they held of it and hold no longer, the latest first."""
    now = clock.now()
    rows = access.grants_of(actor, permission, thing).filter(
        Q(valid_until__lte=now) | Q(revoked_at__isnull=False)
    )
    told: list[str] = []
    for row in rows.order_by("-valid_until")[:_SHOWN]:
        when: Any = row.revoked_at or row.valid_until
        how = "was ended" if row.revoked_at else "ended"
        told.append(f"Your grant {how} on {when:%Y-%m-%d}; it was for: {row.purpose}")
    return told


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
