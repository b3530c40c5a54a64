"""Signed-in browsers of people: noted while they are used, and ended.

Django's own rules end them as well: a session is none any more when its person's password is another
or their account is disabled. Deleting the rows is beside that, so that no list shows a dead one.
"""

from typing import Final
from uuid import UUID

from django.contrib.sessions.models import Session
from django.db import transaction

from governance import audit
from governance.errors import RoleNeededError
from governance.models import PersonSession, User
from governance.types import ResourceRef
from portal.kernel import sql
from portal.kernel.actor import Actor
from portal.kernel.errors import NotFoundError
from portal.kernel.identifiers import uuid7

_NOTE: Final = sql.load("governance", "note_session")


def note_session(session_key: str, *, user_id: int, browser: str, address: str | None) -> None:
    """Keep that a session is in use now. Of one that is over nothing is kept."""
    sql.execute(
        _NOTE,
        {
            "id": uuid7(), "session_key": session_key, "user_id": user_id,
            "browser": browser[:120], "address": address,
        },
    )  # fmt: skip


@transaction.atomic
def end_session(session_id: UUID, *, actor: Actor) -> PersonSession:
    """Sign one of the actor's own browsers out. NotFoundError where it is none of theirs."""
    found = PersonSession.objects.filter(pk=session_id, user_id=actor.id).first()
    if found is None or not actor.is_person:
        raise NotFoundError
    Session.objects.filter(pk=found.session_id).delete()
    _record(actor, actor.label, f"signed {found.browser} out")
    return found


@transaction.atomic
def end_other_sessions(*, actor: Actor, but: str) -> int:
    """Sign the actor out everywhere but in the session of this key; gives how many ended."""
    ended = drop_sessions(actor.id, but=but)
    _record(actor, actor.label, f"signed out elsewhere: sessions {ended}")
    return ended


@transaction.atomic
def end_sessions_of(user: User, *, actor: Actor) -> int:
    """Sign a person out everywhere; admins may. Gives how many sessions ended."""
    if not actor.is_admin:
        raise RoleNeededError("Admins end other people's sessions.", "admin")
    ended = drop_sessions(user.pk)
    _record(actor, user.email, f"signed {user.email} out everywhere: sessions {ended}")
    return ended


def drop_sessions(user_id: int, *, but: str = "") -> int:
    """Delete a person's sessions but one, inside the caller's transaction; gives how many."""
    ours = PersonSession.objects.filter(user_id=user_id).exclude(session_id=but)
    keys = list(ours.values_list("session_id", flat=True))
    Session.objects.filter(pk__in=keys).delete()
    return len(keys)


def _record(actor: Actor, email: str, summary: str) -> None:
    audit.record(actor, "session.ended", ResourceRef("person", email), summary=summary)
