"""Reading changes: whoever may know of a stream may know of its changes."""

from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet

from catalog.models import Change, ChangeVote, Stream
from catalog.selectors.streams import visible_streams
from catalog.types import OPEN_STATES, VersionState
from governance import access
from governance.types import Permission
from portal.kernel.actor import Actor
from portal.kernel.errors import NotFoundError

STATES = tuple(state.value for state in VersionState)


def visible_changes(actor: Actor) -> QuerySet[Change]:
    """Changes of the streams that the actor may know of, with stream and version at hand."""
    return (
        Change.objects.filter(stream__in=visible_streams(actor).values("pk"))
        .select_related("stream__owner_team", "version")
        .defer("version__document", "report", "replay")
    )


def get_change(actor: Actor, change_id: UUID) -> Change:
    """One change; NotFoundError for missing and forbidden alike."""
    found = (
        Change.objects.filter(stream__in=visible_streams(actor).values("pk"))
        .select_related("stream__owner_team", "stream__domain", "version__stream")
        .filter(pk=change_id)
        .first()
    )
    if found is None:
        raise NotFoundError
    return found


def open_changes(actor: Actor) -> QuerySet[Change]:
    """Visible changes that are proposed, or approved and not active yet."""
    return visible_changes(actor).filter(version__state__in=OPEN_STATES)


def waiting_for(actor: Actor) -> QuerySet[Change]:
    """Open changes that this person may decide on and has not: never their own."""
    if not actor.is_person:
        return Change.objects.none()
    mine = ChangeVote.objects.filter(change=OuterRef("pk"), user_id=actor.id)
    decidable = access.permitted(actor, Permission.APPROVE, Stream.objects.all())
    return (
        open_changes(actor)
        .filter(version__state=VersionState.PROPOSED, stream__in=decidable.values("pk"))
        .exclude(asked_by_id=actor.id)
        .exclude(Exists(mine))
    )
