"""Access that was taken in an emergency, as a person may see it."""

from typing import Final
from uuid import UUID

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from governance.models import BreakGlass
from portal.kernel.actor import Actor
from portal.kernel.errors import NotFoundError

SHOWN: Final = 20


def visible_glasses(actor: Actor) -> QuerySet[BreakGlass]:
    """What they took themselves and what was taken of their teams' things; admins see all."""
    rows = BreakGlass.objects.select_related("user", "owner_team", "reviewed_by")
    if actor.is_admin:
        return rows
    if not actor.is_person:
        return rows.none()
    return rows.filter(Q(user_id=actor.id) | Q(owner_team__in=actor.team_ids))


def get_glass(actor: Actor, glass_id: UUID) -> BreakGlass:
    """One that the actor may know of; NotFoundError otherwise."""
    found = visible_glasses(actor).filter(pk=glass_id).first()
    if found is None:
        raise NotFoundError
    return found


def live(rows: QuerySet[BreakGlass]) -> QuerySet[BreakGlass]:
    """Those that hold now, by the database's clock."""
    return rows.filter(ended_at=None, ends_at__gt=Now())


def own_live(user_id: int) -> QuerySet[BreakGlass]:
    """What a person reads by it now, the first to end first; for the bar on their pages."""
    return live(BreakGlass.objects.filter(user_id=user_id)).order_by("ends_at")


def waiting_for(actor: Actor) -> QuerySet[BreakGlass]:
    """Those that nobody reviewed yet and the actor may, the oldest first."""
    return visible_glasses(actor).filter(verdict="").exclude(user_id=actor.id).order_by("taken_at")
