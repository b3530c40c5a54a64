"""Reading notices: a person's own, about things they may still know of."""

from typing import Final

from django.db.models import QuerySet

from governance import access
from governance.models import Notice
from portal.kernel.actor import Actor

MOST_COUNTED: Final = 99


def visible_notices(actor: Actor) -> QuerySet[Notice]:
    """The actor's own notices; those about what they may not know of any more are left out."""
    if not actor.is_person:
        return Notice.objects.none()
    known = access.refers_to_known(actor, kind="subject_kind", key="subject_key")
    return Notice.objects.filter(known, user_id=actor.id)


def unread_notices(actor: Actor) -> QuerySet[Notice]:
    return visible_notices(actor).filter(read_at=None)


def unread_count(actor: Actor) -> int:
    """How many notices are unread, at most 100: more is only "many". One query."""
    return unread_notices(actor)[: MOST_COUNTED + 1].count()
