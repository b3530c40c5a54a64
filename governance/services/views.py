"""Keeping a question under a name, changing it and throwing it away. Only its owner does."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F

from governance import audit, view_kinds
from governance.errors import PeopleOnlyError
from governance.models import SavedView
from governance.selectors.views import visible_views
from governance.types import ResourceRef
from portal.kernel import clock
from portal.kernel.actor import Actor
from portal.kernel.errors import (
    FieldError,
    InvalidError,
    NotFoundError,
    PreconditionFailedError,
)

LONGEST_NAME: Final = 80
MOST: Final = 100


@transaction.atomic
def save_view(
    kind: str, name: str, asked: Mapping[str, Any], *, actor: Actor, is_shared: bool = False
) -> SavedView:
    """Keep a question. Raises InvalidError for a kind that the actor may not ask, a question that
    its page does not take, a name that is empty or taken, and for more than MOST."""
    if not actor.is_person:
        raise PeopleOnlyError("self")
    kept: dict[str, str] = {}
    name = name.strip()
    faults = _faults_of_name(name)
    if kind not in view_kinds.kinds_for(actor):
        faults.append(FieldError("/kind", "unknown", "no page of yours takes such questions"))
    else:
        kept, wrong = _read(kind, asked)
        faults += wrong
    if SavedView.objects.filter(owner_id=actor.id).count() >= MOST:
        faults.append(FieldError("/name", "too_many", f"at most {MOST}; delete one first"))
    if faults:
        raise InvalidError("The question cannot be kept like this.", errors=faults)
    try:
        with transaction.atomic():
            made = SavedView.objects.create(
                owner_id=actor.id, kind=kind, name=name, asked=kept, is_shared=is_shared
            )
    except IntegrityError as error:
        raise _taken() from error
    audit.record(actor, "view.saved", _ref(made), summary=f"kept the question “{name}”")
    return made


@transaction.atomic
def change_view(
    view_id: UUID,
    *,
    actor: Actor,
    revision: int,
    name: str | None = None,
    asked: Mapping[str, Any] | None = None,
    is_shared: bool | None = None,
) -> SavedView:
    """Give it another name or question, share it or take that back.

    Raises NotFoundError unless it is the actor's own, InvalidError as `save_view`, and
    PreconditionFailedError when it was changed since that revision.
    """
    row = _own(view_id, actor)
    changes: dict[str, Any] = {}
    faults: list[FieldError] = []
    if name is not None:
        changes["name"] = name.strip()
        faults += _faults_of_name(changes["name"])
    if asked is not None:
        changes["asked"], wrong = _read(row.kind, asked)
        faults += wrong
    if is_shared is not None:
        changes["is_shared"] = is_shared
    if faults:
        raise InvalidError("The question cannot be kept like this.", errors=faults)
    try:
        with transaction.atomic():
            moved = SavedView.objects.filter(pk=row.pk, revision=revision).update(
                **changes, updated_at=clock.now(), revision=F("revision") + 1
            )
    except IntegrityError as error:
        raise _taken() from error
    if not moved:
        raise PreconditionFailedError("It was changed since you read it. Read it again and retry.")
    row.refresh_from_db()
    audit.record(
        actor, "view.changed", _ref(row), summary=f"changed the question “{row.name}”",
        after={"parts": sorted(changes)},
    )  # fmt: skip
    return row


@transaction.atomic
def delete_view(view_id: UUID, *, actor: Actor) -> SavedView:
    """Throw it away. Raises NotFoundError unless it is the actor's own."""
    row = _own(view_id, actor)
    audit.record(actor, "view.deleted", _ref(row), summary=f"deleted the question “{row.name}”")
    SavedView.objects.filter(pk=view_id).delete()
    return row


def _own(view_id: UUID, actor: Actor) -> SavedView:
    rows = visible_views(actor).filter(owner_id=actor.id)
    found = rows.select_for_update(of=("self",)).filter(pk=view_id).first()
    if found is None:
        raise NotFoundError
    return found


def _read(kind: str, asked: Mapping[str, Any]) -> tuple[dict[str, str], list[FieldError]]:
    """What is kept of a question, and what is wrong with it."""
    found = view_kinds.kind_of(kind)
    assert found is not None
    try:
        return found.read(asked), []
    except ValueError as error:
        return {}, [FieldError("/asked", "value", str(error))]


def _faults_of_name(name: str) -> list[FieldError]:
    if not name:
        return [FieldError("/name", "required", "give it a name")]
    if len(name) > LONGEST_NAME:
        return [FieldError("/name", "too_long", f"at most {LONGEST_NAME} characters")]
    if any(ord(char) < 32 for char in name):
        return [FieldError("/name", "value", "holds a character that cannot be stored")]
    return []


def _taken() -> InvalidError:
    fault = FieldError("/name", "taken", "you have one of this name")
    return InvalidError("The question cannot be kept like this.", errors=[fault])


def _ref(row: SavedView) -> ResourceRef:
    return ResourceRef("view", str(row.pk))
