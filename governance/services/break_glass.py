"""Breaking the glass: reading one stream in clear for an hour, without asking, and loudly.

1. On-call or an admin takes it with a reason. It is a grant like others, ended by the same predicate.
2. The owner team and all admins are told at once, by mail too, whatever mail they wished for.
3. While it holds a bar stands on every page of who took it.
4. Somebody else says afterwards, in a sentence, whether it was right; until then it is listed.
"""

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from governance import access, audit
from governance.errors import NotOwnRequestError, PeopleOnlyError, RoleNeededError
from governance.models import BreakGlass, User
from governance.projection import projection
from governance.selectors.break_glass import get_glass
from governance.services.grants import Terms, add_grant
from governance.services.notices import News, tell
from governance.types import BreakGlassVerdict, NoticeKind, Permission, ResourceRef, Role
from portal.kernel import rfc3339
from portal.kernel.actor import Actor
from portal.kernel.errors import FieldError, InvalidError, InvalidStateError

TERM: Final = timedelta(minutes=60)
PAGE: Final = "/access/break-glass/"
_SHORTEST: Final = 10
_LONGEST: Final = 1000


@transaction.atomic
def break_glass(ref: ResourceRef, *, actor: Actor, reason: str) -> BreakGlass:
    """Take reading of a stream's payload with personal fields, for an hour from now.

    Raises NotFoundError where the stream may not be known of, RoleNeededError for who is neither
    on-call nor an admin, InvalidStateError for who may read it in clear already.
    """
    if not actor.is_person:
        raise PeopleOnlyError("access.break_glass")
    thing: Any = access.find_resource(ref)
    access.require(actor, Permission.DISCOVER, thing)
    if not (actor.is_admin or actor.has_role(Role.ON_CALL)):
        raise RoleNeededError("On-call and admins break the glass.", "access.break_glass")
    _check(reason, "/reason", "say what for")
    User.objects.select_for_update().get(pk=actor.id)  # two at once wait for each other
    if projection(actor, thing).is_whole:
        raise InvalidStateError("You may read it in clear already; there is nothing to break.")
    taken = BreakGlass.objects.create(
        user_id=actor.id,
        resource_kind=thing.ref.kind,
        resource_key=thing.ref.key,
        owner_team_id=thing.owner_team_id
        or getattr(getattr(thing, "domain", None), "owner_team_id", None),
        reason=reason.strip(),
        ends_at=Now() + TERM,
    )
    taken.refresh_from_db()
    terms = Terms(f"Break-glass: {taken.reason}", taken.ends_at)
    add_grant(thing, Permission.READ_PERSONAL, taken.user, terms, actor=actor)
    _tell_all(taken, thing, actor)
    audit.record(
        actor,
        "access.break_glass",
        thing.ref,
        summary=f"broke the glass of {thing.ref.key}: reads it in clear until "
        f"{taken.ends_at:%H:%M} UTC",
        after={"reason": taken.reason, "until": rfc3339.spell(taken.ends_at)},
    )
    return taken


@transaction.atomic
def give_back(glass_id: UUID, *, actor: Actor) -> BreakGlass:
    """End it before its hour: by who took it, or by who reviews it."""
    taken = get_glass(actor, glass_id)
    if taken.user_id != actor.id:
        access.require(actor, Permission.APPROVE, _thing(taken))
    _end(taken)
    audit.record(
        actor,
        "access.break_glass_ended",
        taken.about,
        summary=f"ended the break-glass access of {taken.user.email} to {taken.resource_key}",
    )
    return taken


@transaction.atomic
def review_glass(
    glass_id: UUID, *, actor: Actor, verdict: BreakGlassVerdict, sentence: str
) -> BreakGlass:
    """Say whether it was right: its owner or an admin, once, never who took it.

    An objection ends access that still holds.
    """
    taken = get_glass(actor, glass_id)
    if actor.is_person and taken.user_id == actor.id:
        raise NotOwnRequestError(
            "Somebody else must review what you took.",
            Permission.APPROVE.value,
            "/access/break-glass/",
        )
    access.require(actor, Permission.APPROVE, _thing(taken))
    _check(sentence, "/sentence", "say why")
    moved = BreakGlass.objects.filter(pk=taken.pk, verdict="").update(
        verdict=verdict,
        review=sentence.strip(),
        reviewed_at=Now(),
        reviewed_by_id=actor.id if actor.is_person else None,
    )
    if moved != 1:
        raise InvalidStateError("It was reviewed already.")
    if verdict == BreakGlassVerdict.OBJECTED and _holds(taken):
        _end(taken)
    taken.refresh_from_db()
    word = "confirmed" if verdict == BreakGlassVerdict.CONFIRMED else "objected to"
    audit.record(
        actor,
        "access.break_glass_reviewed",
        taken.about,
        summary=f"{word} the break-glass access of {taken.user.email} to {taken.resource_key}",
        after={"verdict": str(verdict), "sentence": taken.review},
    )
    news = News(
        NoticeKind.BREAK_GLASS,
        taken.about,
        f"Your break-glass access to {taken.resource_key} was {word}",
        f"{actor.label}: {taken.review}",
        PAGE,
        f"glass-review:{taken.pk}",
    )
    tell([taken.user_id], news, by=actor)
    return taken


def _holds(taken: BreakGlass) -> bool:
    return BreakGlass.objects.filter(pk=taken.pk, ended_at=None, ends_at__gt=Now()).exists()


def _end(taken: BreakGlass) -> None:
    moved = BreakGlass.objects.filter(pk=taken.pk, ended_at=None, ends_at__gt=Now()).update(
        ended_at=Now()
    )
    if moved != 1:
        raise InvalidStateError("It has ended already.")
    protected = access.protected_kinds()[taken.resource_kind]
    # Its own row only: a grant that was given meanwhile has another end, and stays.
    protected.user_grants._default_manager.filter(
        user_id=taken.user_id,
        content_object=_thing(taken),
        valid_until=taken.ends_at,
        revoked_at=None,
    ).update(revoked_at=Now())
    taken.refresh_from_db()


def _tell_all(taken: BreakGlass, thing: Any, actor: Actor) -> None:
    admins = User.objects.filter(groups__name=Role.ADMIN, is_active=True)
    people = access.holders(Permission.APPROVE, thing) | set(admins.values_list("pk", flat=True))
    news = News(
        NoticeKind.BREAK_GLASS,
        taken.about,
        f"{actor.label} broke the glass of {taken.resource_key}",
        f"They read it in clear, personal fields too, until {taken.ends_at:%H:%M} UTC, for: "
        f"{taken.reason} Say whether it was right.",
        PAGE,
        f"glass:{taken.pk}",
    )
    tell(people, news, by=actor)


def _thing(taken: BreakGlass) -> Any:
    return access.find_resource(taken.about)


def _check(text: str, pointer: str, asked: str) -> None:
    if len(text.strip()) < _SHORTEST:
        detail = f"{asked}, in ten characters or more"
    elif len(text) > _LONGEST:
        detail = "at most 1,000 characters"
    else:
        return
    code = "too_short" if len(text.strip()) < _SHORTEST else "too_long"
    raise InvalidError("It needs a sentence.", errors=[FieldError(pointer, code, detail)])
