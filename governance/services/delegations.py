"""A deputy for while somebody is away: decides in their place on what they may approve."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction

from governance import audit
from governance.errors import PeopleOnlyError
from governance.models import Delegation, User
from governance.selectors.delegations import delegations_of
from governance.services.notices import News, tell
from governance.types import NoticeKind, ResourceRef
from portal.kernel import clock
from portal.kernel.actor import Actor
from portal.kernel.errors import FieldError, InvalidError, NotFoundError

LONGEST: Final = timedelta(days=90)
MAX_AT_ONCE: Final = 5


@transaction.atomic
def delegate(
    *, actor: Actor, deputy: User, since: datetime, until: datetime, note: str = ""
) -> Delegation:
    """Let somebody decide in one's place for a time. What a role gives is not handed on, nor what
    one holds as another's deputy; and nobody decides so on a request of who is away.

    Raises InvalidError for a term that is over, too long or upside down, for oneself, and for more
    than MAX_AT_ONCE at once.
    """
    if not actor.is_person:
        raise PeopleOnlyError("self")
    now, faults = clock.now(), []
    if deputy.pk == actor.id:
        faults.append(FieldError("/deputy", "self", "name somebody else"))
    if until <= max(since, now):
        faults.append(FieldError("/until", "past", "must lie ahead, and after the start"))
    elif until > since + LONGEST or since > now + LONGEST:
        faults.append(FieldError("/until", "too_long", f"at most {LONGEST.days} days"))
    if len(note) > 200:
        faults.append(FieldError("/note", "too_long", "at most 200 characters"))
    if delegations_of(actor).count() >= MAX_AT_ONCE:
        faults.append(FieldError("/deputy", "too_many", f"at most {MAX_AT_ONCE} at once"))
    if faults:
        raise InvalidError("Nobody can decide for you like this.", errors=faults)
    made = Delegation.objects.create(
        person_id=actor.id, deputy=deputy, since=since, until=until, note=note.strip()
    )
    ref = ResourceRef("person", actor.label)
    tell(
        [deputy.pk],
        News(
            NoticeKind.REQUEST_WAITING, ref, f"You decide for {actor.label}",
            f"From {since:%Y-%m-%d} until {until:%Y-%m-%d}, on requests for access. {made.note}",
            "/access/", f"delegation:{made.pk}",
        ),
        by=actor,
    )  # fmt: skip
    audit.record(
        actor, "access.delegated", ref,
        summary=f"{deputy.email} decides for {actor.label} until {until:%Y-%m-%d}",
    )  # fmt: skip
    return made


@transaction.atomic
def end_delegation(delegation_id: UUID, *, actor: Actor) -> Delegation:
    """End it before its time: by who is away, or by the deputy. NotFoundError for all others."""
    found = (
        Delegation.objects.select_for_update(of=("self",))
        .select_related("deputy", "person")
        .filter(pk=delegation_id, ended_at=None)
        .first()
    )
    if found is None or not actor.is_person or actor.id not in (found.person_id, found.deputy_id):
        raise NotFoundError
    found.ended_at = clock.now()
    found.save(update_fields=["ended_at"])
    audit.record(
        actor, "access.delegation_ended", ResourceRef("person", found.person.email),
        summary=f"{found.deputy.email} no longer decides for {found.person.email}",
    )  # fmt: skip
    return found
