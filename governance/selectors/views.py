"""Saved questions as somebody may see them: their own, and shared ones of kinds they may ask."""

from uuid import UUID

from django.db.models import Q, QuerySet

from governance import view_kinds
from governance.models import SavedView
from portal.kernel.actor import Actor
from portal.kernel.errors import NotFoundError


def visible_views(actor: Actor, *, kind: str = "") -> QuerySet[SavedView]:
    """The questions that the actor may ask, of one kind or of all, by name."""
    kinds = view_kinds.kinds_for(actor)
    if kind:
        kinds = [name for name in kinds if name == kind]
    mine = Q(owner_id=actor.id) | Q(is_shared=True)
    rows = SavedView.objects.filter(mine, kind__in=kinds)
    return rows.select_related("owner").order_by("name", "pk")


def get_view(actor: Actor, view_id: UUID) -> SavedView:
    """One that the actor may ask; NotFoundError for all others."""
    found = visible_views(actor).filter(pk=view_id).first()
    if found is None:
        raise NotFoundError
    return found
