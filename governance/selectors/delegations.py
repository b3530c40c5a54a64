"""Who decides for whom, as the two of them may see it."""

from uuid import UUID

from django.db.models import Q, QuerySet

from governance.models import Delegation
from portal.kernel import clock
from portal.kernel.actor import Actor
from portal.kernel.errors import NotFoundError


def delegations_of(actor: Actor) -> QuerySet[Delegation]:
    """Those of who is away and of their deputies that are not over, the soonest ending first."""
    if not actor.is_person:
        return Delegation.objects.none()
    live = Delegation.objects.filter(until__gt=clock.now(), ended_at=None)
    mine = Q(person_id=actor.id) | Q(deputy_id=actor.id)
    return live.filter(mine).select_related("person", "deputy").order_by("until", "pk")


def get_delegation(actor: Actor, delegation_id: UUID) -> Delegation:
    """One of the actor's, ended ones too; NotFoundError for all others."""
    mine = Q(person_id=actor.id) | Q(deputy_id=actor.id)
    rows = Delegation.objects.select_related("person", "deputy")
    found = rows.filter(mine, pk=delegation_id).first() if actor.is_person else None
    if found is None:
        raise NotFoundError
    return found


def people_of(actor: Actor) -> list[int]:
    """In whose place the actor decides now."""
    if not actor.is_person:
        return []
    now = clock.now()
    live = Delegation.objects.filter(
        deputy_id=actor.id, since__lte=now, until__gt=now, ended_at=None
    )
    return list(live.values_list("person_id", flat=True).distinct())


def is_deputy_of(actor: Actor, person_id: int) -> bool:
    """Whether the actor decides in this person's place now."""
    now = clock.now()
    live = Delegation.objects.filter(
        person_id=person_id, deputy_id=actor.id, since__lte=now, until__gt=now, ended_at=None
    )
    return actor.is_person and live.exists()
