"""Reviews as somebody may see them: those of things that they may know of."""

from typing import Final
from uuid import UUID

from django.db.models import Q, QuerySet

from governance import access
from governance.models import Review
from governance.types import ResourceRef
from portal.kernel import clock
from portal.kernel.actor import Actor
from portal.kernel.errors import NotFoundError

OPEN: Final = Q(completed_at=None)
SHOWS: Final = ("mine", "overdue", "open", "done")


def visible_reviews(actor: Actor) -> QuerySet[Review]:
    """The open and the completed ones of things that the actor may know of."""
    known = access.refers_to_known(actor, kind="resource_kind", key="resource_key")
    return Review.objects.filter(known)


def shown(actor: Actor, show: str) -> QuerySet[Review]:
    """One of `SHOWS`: open ones that wait for the actor's team, overdue, open, or completed ones."""
    rows = visible_reviews(actor)
    if show == "done":
        return rows.exclude(OPEN)
    if show == "overdue":
        return rows.filter(OPEN, due_at__lt=clock.now())
    return rows.filter(OPEN, _decided_by(actor)) if show == "mine" else rows.filter(OPEN)


def order_of(show: str) -> tuple[str, ...]:
    """Open ones by when they are due, completed ones the newest first."""
    return ("-completed_at", "id") if show == "done" else ("due_at", "id")


def get_review(actor: Actor, review_id: UUID) -> Review:
    """One review of a thing that the actor may know of; NotFoundError otherwise."""
    found = visible_reviews(actor).filter(pk=review_id).first()
    if found is None:
        raise NotFoundError
    return found


def history_of(ref: ResourceRef) -> QuerySet[Review]:
    """The completed reviews of a thing, the newest first."""
    rows = Review.objects.filter(resource_kind=ref.kind, resource_key=ref.key)
    return rows.exclude(OPEN).order_by("-completed_at")


def open_review(ref: ResourceRef) -> Review | None:
    """The review of a thing that waits now, if there is one."""
    return Review.objects.filter(OPEN, resource_kind=ref.kind, resource_key=ref.key).first()


def _decided_by(actor: Actor) -> Q:
    """Reviews of what the actor may approve on, by owning it or by grant; a role is not meant."""
    if not actor.is_person:
        return Q(pk__in=[])
    decided = Q()
    for protected in access.protected_kinds().values():
        things = access.approved_by(actor, protected).order_by()
        decided |= Q(resource_kind=protected.kind, resource_key__in=things.values(protected.key))
    return decided
