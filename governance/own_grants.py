"""Nobody grants themselves: whether a grant would give who decides on it more than they hold.

A grant reaches people by itself, by their team, and by a program of their team, whose keys they may
make. So it is judged by who gains from it and not by whom it names: the one who decides, and those in
whose place they decide. What they hold anyway, for as long and of the same fields, is no gain.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import Group
from django.db.models import Model, QuerySet

from governance import access
from governance.access import Protected
from governance.errors import OwnGrantError
from governance.models import Team, User
from governance.selectors.delegations import people_of
from governance.selectors.people import actor_of
from governance.types import Permission
from portal.kernel.actor import Actor


@dataclass(frozen=True, slots=True)
class Offer:
    """A grant that is decided on. `holder` is a person, a team, a role's group, a consumer or a
    producer; `row` the grant that stands already and gives nothing to itself."""

    thing: Any
    permission: Permission
    holder: Any
    until: datetime
    fields: Collection[str] = ()
    row: Model | None = None


def refuse_own(actor: Actor, offer: Offer) -> None:
    """Raises OwnGrantError where the actor, or somebody in whose place they decide, would gain."""
    if not actor.is_person:
        return
    for person in User.objects.filter(pk__in=[actor.id, *people_of(actor)]).order_by("pk"):
        oneself = actor_of(person)  # whole: a narrow token is no reason to gain by another
        if _is_for(oneself, offer.holder) and _gives_more(oneself, offer):
            raise OwnGrantError(offer.thing.ref, offer.permission, request_at=_ask_at(offer))


def _is_for(person: Actor, holder: Any) -> bool:
    """Whether a person has what somebody holds: they are it, are in it, or may make its keys."""
    if isinstance(holder, User):
        return holder.pk == person.id
    if isinstance(holder, Team):
        return holder.pk in person.team_ids
    if isinstance(holder, Group):
        return person.has_role(holder.name)
    return holder.owner_team_id in person.team_ids


def _gives_more(person: Actor, offer: Offer) -> bool:
    if isinstance(offer.holder, User):
        return True  # for oneself there is no other reason to grant it
    given = [one for one, by in access.GIVEN_BY.items() if offer.permission in by]
    return any(
        things.exclude(
            pk__in=things.filter(
                access.held_without(
                    person, permission, protected,
                    until=offer.until, fields=offer.fields, row=offer.row,
                )
            )
        ).exists()
        for protected, things in _reached(offer.thing)
        for permission in given
    )  # fmt: skip


def _reached(thing: Any) -> Iterator[tuple[Protected, QuerySet[Any]]]:
    """What a grant on a thing is about: itself, and what lies in it."""
    kinds = access.protected_kinds()
    own = kinds[thing.ref.kind]
    yield own, own.model._default_manager.filter(pk=thing.pk)
    for protected in kinds.values():
        if protected.parent and access.parent_of(protected) is own:
            yield protected, protected.model._default_manager.filter(**{protected.parent: thing})


def _ask_at(offer: Offer) -> str:
    place = access.ask_url(offer.thing.ref)
    is_program = not isinstance(offer.holder, (User, Team, Group))
    return f"{place}&for={offer.holder.ref}" if is_program else place
