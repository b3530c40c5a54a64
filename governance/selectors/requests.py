"""Requests for access and the grants that hold, as a person may see them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from governance import access
from governance.models import AccessRequest
from governance.types import ResourceRef
from portal.kernel.actor import Actor
from portal.kernel.errors import NotFoundError


@dataclass(frozen=True, slots=True)
class GrantRow:
    """One grant as lists show it. `id` is `<kind>-<u|g>-<row id>`, its name in the API."""

    id: str
    ref: ResourceRef
    holder: str
    holder_is_team: bool
    permission: str
    purpose: str
    valid_from: datetime
    valid_until: datetime
    revoked_at: datetime | None
    granted_by: str
    last_used_at: datetime | None


def visible_requests(actor: Actor) -> QuerySet[AccessRequest]:
    """Their own requests and those they may decide; admins see all."""
    rows = AccessRequest.objects.select_related("requester", "owner_team", "decided_by")
    if actor.is_admin:
        return rows
    return rows.filter(Q(requester_id=actor.id) | Q(owner_team__in=actor.team_ids))


def requests_to_decide(actor: Actor) -> QuerySet[AccessRequest]:
    """Open requests that wait for this person: never their own."""
    return visible_requests(actor).filter(state="open").exclude(requester_id=actor.id)


def get_request(actor: Actor, request_id: UUID) -> AccessRequest:
    """One request the actor may know of; NotFoundError otherwise."""
    found = visible_requests(actor).filter(pk=request_id).first()
    if found is None:
        raise NotFoundError
    return found


def live_grants(
    actor: Actor, *, ref: ResourceRef | None = None, limit: int = 200, mine: bool = False
) -> list[GrantRow]:
    """Grants that hold now, soonest ending first: all for admins, else own and of owned things."""
    found: list[GrantRow] = []
    for kind, protected in access.protected_kinds().items():
        if ref is not None and ref.kind != kind:
            continue
        for letter, table in (("u", protected.user_grants), ("g", protected.group_grants)):
            rows = _visible(table, protected, actor, letter, mine=mine).filter(
                valid_until__gt=Now(), revoked_at=None
            )
            if ref is not None:
                thing = access.find_resource(ref)
                rows = rows.filter(content_object=thing)
            rows = rows.select_related("content_object", "permission").order_by("valid_until")
            holder = "user" if letter == "u" else "group__team"
            found += [grant_row(row, kind, letter) for row in rows.select_related(holder)[:limit]]
    return sorted(found, key=lambda row: row.valid_until)[:limit]


def grant_row(row: Any, kind: str, letter: str) -> GrantRow:
    """A row of a grant table as a value."""
    is_team = letter == "g"
    team = getattr(row.group, "team", None) if is_team else None
    return GrantRow(
        id=f"{kind}-{letter}-{row.pk}",
        ref=row.content_object.ref,
        holder=(team.name if team else row.group.name) if is_team else row.user.email,
        holder_is_team=is_team,
        permission=row.permission.codename.removesuffix(f"_{kind}"),
        purpose=row.purpose,
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        revoked_at=row.revoked_at,
        granted_by=row.granted_by,
        last_used_at=row.last_used_at,
    )


def _visible(
    table: Any, protected: access.Protected, actor: Actor, letter: str, *, mine: bool
) -> QuerySet[Any]:
    rows: QuerySet[Any] = table._default_manager.all()
    own = Q(user=actor.id) if letter == "u" else Q(group__team__in=actor.team_ids)
    if mine:
        return rows.filter(own)
    if actor.is_admin:
        return rows
    return rows.filter(own | Q(**{f"content_object__{protected.owner}__in": actor.team_ids}))
