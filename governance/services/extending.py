"""Prolonging a grant of somebody else, by who decides on the thing; who holds it asks by a request."""

from datetime import datetime
from typing import Any

from django.db import transaction

from governance import access, audit
from governance.own_grants import Offer, refuse_own
from governance.selectors.requests import GrantRow, find_grant, grant_row
from governance.services.grants import (
    Term,
    Terms,
    check_terms,
    grantee_of,
    tell_of_personal,
)
from governance.services.notices import News, tell
from governance.types import NoticeKind, Permission
from portal.kernel import clock, rfc3339
from portal.kernel.actor import Actor
from portal.kernel.errors import FieldError, InvalidError, InvalidStateError


@transaction.atomic
def extend_grant(grant_id: str, *, actor: Actor, until: datetime, by_day: bool = False) -> GrantRow:
    """Have a grant that holds end later, as it is; it counts as confirmed.

    Raises NotFoundError for one that may not be known of, OwnGrantError where the actor would gain,
    InvalidError for an end that is not later or too far, InvalidStateError for one that has ended.
    """
    row, kind, letter = find_grant(actor, grant_id)
    thing: Any = row.content_object
    access.require(actor, Permission.APPROVE, thing)
    check_terms(row.purpose, until, term=Term(by_day=by_day))
    if until <= row.valid_until:
        fault = FieldError("/until", "not_later", "must be later than its end")
        raise InvalidError("The grant would not last longer.", errors=[fault])
    before, holder = grant_row(row, kind, letter), grantee_of(row, letter)
    permission = Permission(before.permission)
    refuse_own(actor, Offer(thing, permission, holder, until, before.fields, row))
    now = clock.now()
    touched = (
        type(row)
        ._default_manager.filter(
            pk=row.pk, revoked_at=None, valid_until=row.valid_until, valid_until__gt=now
        )
        .update(valid_until=until, confirmed_at=now, confirmed_by=actor.label)
    )
    if touched != 1:
        raise InvalidStateError("The grant has ended, or was changed meanwhile.")
    row.refresh_from_db()
    found = grant_row(row, kind, letter)
    audit.record(
        actor,
        "access.extended",
        thing.ref,
        summary=f"extended {found.permission} of {found.holder} on {thing.ref.key} "
        f"until {until:%Y-%m-%d}",
        before={"until": rfc3339.spell(before.valid_until)},
        after={"until": rfc3339.spell(until), "fields": list(found.fields)},
    )
    if permission is Permission.READ_PERSONAL:
        tell_of_personal(thing, found.holder, Terms(found.purpose, until, found.fields), actor)
    if letter == "u":
        _tell_holder(row.user_id, found, actor)
    return found


def _tell_holder(person: int, grant: GrantRow, actor: Actor) -> None:
    news = News(
        NoticeKind.REQUEST_DECIDED,
        grant.ref,
        f"Your grant on {grant.ref.key} lasts longer",
        f"{actor.label} extended it until {grant.valid_until:%Y-%m-%d}.",
        "/access/",
    )
    tell([person], news, by=actor)
