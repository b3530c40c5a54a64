"""Reading drafts: one's own and those that were shared; nobody else's, not even for admins."""

from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from catalog.models import Draft, DraftShare
from catalog.selectors.streams import visible_streams
from portal.kernel.actor import Actor
from portal.kernel.errors import NotFoundError


def visible_drafts(actor: Actor) -> QuerySet[Draft]:
    """Drafts of the person and those shared with them; of a stream only while they may know it."""
    if not actor.is_person:
        return Draft.objects.none()
    shared = DraftShare.objects.filter(draft=OuterRef("pk")).filter(
        Q(user_id=actor.id) | Q(team__in=actor.team_ids)
    )
    known = visible_streams(actor).order_by().values("pk")
    return (
        Draft.objects.filter(Q(owner_id=actor.id) | Exists(shared))
        .filter(Q(stream=None) | Q(stream__in=known))
        .select_related("owner", "stream")
    )


def get_draft(actor: Actor, draft_id: UUID) -> Draft:
    """One draft; NotFoundError for missing and forbidden alike."""
    found = visible_drafts(actor).filter(pk=draft_id).first()
    if found is None:
        raise NotFoundError
    return found
