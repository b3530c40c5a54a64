"""Writing drafts: kept as often as somebody types, shared, published the ordinary way, thinned.

A draft is private to its author until they share it; whoever it is shared with reads and edits it,
and its author alone shares and discards it. Keeping a text is not a decision and leaves no row in
the audit log; beginning, sharing, discarding and publishing are.
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import F

from catalog.models import Change, Draft, DraftKind, DraftShare, Stream
from catalog.schema_safety import canonical
from catalog.services.changes import Proposal, propose_change
from catalog.services.domains import require_registrar
from catalog.services.streams import NewStream, register_stream
from governance import access, audit
from governance.errors import PeopleOnlyError
from governance.models import Team, User
from governance.types import Permission, ResourceRef
from portal.kernel import clock
from portal.kernel.actor import SYSTEM, Actor
from portal.kernel.errors import (
    ConflictError,
    FieldError,
    InvalidError,
    NotFoundError,
    NotPermittedError,
    PreconditionFailedError,
)
from portal.kernel.locks import or_busy

logger = logging.getLogger(__name__)

MAX_DRAFTS: Final = 256  # of one person
MAX_BYTES: Final = 1024 * 1024
MAX_TITLE: Final = 200
MAX_SHARED: Final = 50
UNTOUCHED: Final = timedelta(days=90)
_BATCH: Final = 500


@transaction.atomic
def create_draft(
    kind: DraftKind,
    content: Mapping[str, Any],
    *,
    actor: Actor,
    stream: Stream | None = None,
    title: str = "",
    page: Mapping[str, Any] | None = None,
) -> Draft:
    """Begin a draft of a registration, or of a change of a stream that the actor may edit.

    Raises ConflictError when the person has as many as they may, InvalidError for one too large.
    """
    if not actor.is_person:
        raise PeopleOnlyError("draft.write")
    if kind == DraftKind.CHANGE and stream is not None:
        access.require(actor, Permission.EDIT, stream)
    else:
        require_registrar(actor)
    _check(content, page or {})
    with or_busy():
        owner = User.objects.select_for_update().get(pk=actor.id)
    if owner.drafts.count() >= MAX_DRAFTS:
        raise ConflictError(
            f"You have {MAX_DRAFTS} drafts. Publish or discard some first.", code="too_many"
        )
    now = clock.now()
    draft = Draft.objects.create(
        kind=kind, stream=stream, title=_title(title, content, stream), content=dict(content),
        page=dict(page or {}), owner=owner, created_at=now, updated_at=now, updated_by=actor.label,
    )  # fmt: skip
    audit.record(actor, "draft.created", draft.ref, summary=f"began a draft of a {draft.kind}")
    return draft


@transaction.atomic
def change_draft(
    draft: Draft,
    *,
    actor: Actor,
    content: Mapping[str, Any] | None = None,
    title: str | None = None,
    page: Mapping[str, Any] | None = None,
    revision: int | None = None,
) -> Draft:
    """Keep another text or title. With `revision`, only if nobody changed it since.

    What the page remembers belongs to its text: a new text without it forgets it. Raises
    PreconditionFailedError when somebody was faster.
    """
    _require_shared(draft, actor)
    values: dict[str, Any] = {}
    if content is not None:
        _check(content, page or {})
        values = {"content": dict(content), "page": dict(page or {})}
        if title is None:
            values["title"] = _title("", content, draft.stream) or draft.title
    if title is not None:
        values["title"] = title[:MAX_TITLE]
    if not values:
        return draft
    rows = Draft.objects.filter(pk=draft.pk)
    if revision is not None:
        rows = rows.filter(revision=revision)
    if not rows.update(
        **values, revision=F("revision") + 1, updated_at=clock.now(), updated_by=actor.label
    ):
        raise PreconditionFailedError("It was changed since you read it. Read it again and retry.")
    draft.refresh_from_db()
    return draft


@transaction.atomic
def share_draft(
    draft: Draft,
    *,
    actor: Actor,
    users: Sequence[User] | None = None,
    teams: Sequence[Team] | None = None,
) -> Draft:
    """Share it with exactly these people or teams from now on; what is None stays as it is."""
    _require_author(draft, actor)
    if len(users or ()) > MAX_SHARED or len(teams or ()) > MAX_SHARED:
        raise InvalidError(f"A draft is shared with {MAX_SHARED} at most.")
    if users is not None:
        draft.shares.exclude(user=None).delete()
        for user in users:
            if user.pk != draft.owner_id:
                DraftShare.objects.get_or_create(draft=draft, user=user)
    if teams is not None:
        draft.shares.exclude(team=None).delete()
        for team in teams:
            DraftShare.objects.get_or_create(draft=draft, team=team)
    Draft.objects.filter(pk=draft.pk).update(revision=F("revision") + 1, updated_at=clock.now())
    draft.refresh_from_db()
    audit.record(
        actor,
        "draft.shared",
        draft.ref,
        summary="shared a draft" if draft.shares.exists() else "shares a draft no more",
        after={
            "users": [user.email for user in users or ()],
            "teams": [team.slug for team in teams or ()],
        },
    )
    return draft


@transaction.atomic
def discard_draft(draft: Draft, *, actor: Actor, revision: int | None = None) -> None:
    """Throw a draft away; with `revision`, only if nobody changed it since."""
    _require_author(draft, actor)
    rows = Draft.objects.filter(pk=draft.pk)
    if revision is not None and not rows.filter(revision=revision).exists():
        raise PreconditionFailedError("It was changed since you read it. Read it again and retry.")
    audit.record(actor, "draft.discarded", draft.ref, summary=f"discarded a draft of {draft.kind}")
    rows.delete()


@transaction.atomic
def publish_registration(
    draft: Draft, new: NewStream, *, actor: Actor, revision: int | None = None
) -> Stream:
    """Register a stream from a draft, which ends with it: both or neither."""
    _consume(draft, actor, revision)
    return register_stream(new, actor=actor)


@transaction.atomic
def publish_change(
    draft: Draft, proposal: Proposal, *, actor: Actor, revision: int | None = None
) -> Change:
    """Propose a change from a draft, which ends with it: both or neither."""
    if draft.stream is None:
        raise NotFoundError
    _consume(draft, actor, revision)
    return propose_change(draft.stream, proposal, actor=actor)


def _consume(draft: Draft, actor: Actor, revision: int | None) -> None:
    """Of two who publish at once one finds it gone."""
    _require_shared(draft, actor)
    with or_busy():
        held = Draft.objects.select_for_update(of=("self",)).filter(pk=draft.pk).first()
    if held is None:
        raise NotFoundError
    if revision is not None and held.revision != revision:
        raise PreconditionFailedError(
            f"Somebody else changed this draft: {held.updated_by}, {held.updated_at:%H:%M} UTC. "
            "Open it again before you publish it."
        )
    audit.record(actor, "draft.published", draft.ref, summary=f"published a draft of {draft.kind}")
    held.delete()


def thin_drafts() -> int:
    """Remove drafts that nobody touched for 90 days; gives how many. Safe to run twice."""
    before = clock.now() - UNTOUCHED
    stale = list(Draft.objects.filter(updated_at__lt=before).values_list("pk", flat=True)[:_BATCH])
    if not stale:
        return 0
    with transaction.atomic():
        # Judged again by the statement that removes: who types now keeps theirs.
        _, by_model = Draft.objects.filter(pk__in=stale, updated_at__lt=before).delete()
        count = by_model.get("catalog.Draft", 0)
        audit.record(
            SYSTEM,
            "draft.thinned",
            ResourceRef("draft", "untouched"),
            summary=f"removed {count} drafts that nobody touched for {UNTOUCHED.days} days",
        )
    logger.info("removed %s untouched drafts", count)
    return count


def goes_at(draft: Draft) -> datetime:
    """When the draft is removed if nobody touches it."""
    return draft.updated_at + UNTOUCHED


def _require_shared(draft: Draft, actor: Actor) -> None:
    """Its author, or whom it is shared with, now."""
    if not actor.is_person:
        raise NotFoundError
    if draft.owner_id == actor.id:
        return
    if not (
        draft.shares.filter(user_id=actor.id).exists()
        or draft.shares.filter(team__in=actor.team_ids).exists()
    ):
        raise NotFoundError


def _require_author(draft: Draft, actor: Actor) -> None:
    _require_shared(draft, actor)
    if draft.owner_id != actor.id:
        raise NotPermittedError("Its author shares and discards a draft.", code="not_owner")


def _check(content: Mapping[str, Any], page: Mapping[str, Any]) -> None:
    """A draft may break every rule of what it becomes, but it is bounded and can be stored."""
    if len(canonical([content, page])) > MAX_BYTES:
        raise InvalidError(
            "The draft cannot be kept.",
            errors=[FieldError("/content", "too_large", "may have 1 MiB at most")],
        )


def _title(title: str, content: Mapping[str, Any], stream: Stream | None) -> str:
    """The given title, else what the content calls itself, else the stream's name."""
    for text in (title, content.get("name"), content.get("summary")):
        if isinstance(text, str) and text.strip():
            return text.strip()[:MAX_TITLE]
    return stream.name if stream is not None else ""
