"""Rotating credentials: a new secret for the same holder, while the old one lives on for a grace.

1. The old key is locked, so that two at once follow each other.
2. The new one takes over all that the old one could do: holder, scopes, glob, origins, quota.
3. The old one ends after the grace, never later than it would have; without a grace, at once.

A key that ends within the longest grace takes a new end with it, which has to be said: its successor
would end as soon. That also keeps a key that was rotated a moment ago from being rotated again.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models.functions import Least, Now

from governance import audit, keys
from governance.errors import TOKENS_AT, PeopleOnlyError, ScopeNeededError
from governance.models import Key
from governance.rotation import LONGEST_GRACE, Rotation
from governance.types import ResourceRef
from portal.kernel import clock
from portal.kernel.actor import Actor
from portal.kernel.errors import (
    FieldError,
    InvalidError,
    InvalidStateError,
    NotFoundError,
    NotPermittedError,
)


@dataclass(frozen=True, slots=True)
class Rotated:
    """The key that was, the one that is, and its text, which is shown this once."""

    old: Key
    new: Key
    text: str


@transaction.atomic
def rotate_token(key_id: str, *, actor: Actor, rotation: Rotation) -> Rotated:
    """Rotate a personal token of the actor's own.

    Raises NotFoundError where it is none of theirs, ScopeNeededError for a scope they do not act
    with, InvalidStateError for one that has ended, InvalidError for a grace or an end that cannot be.
    """
    if not actor.is_person:
        raise PeopleOnlyError("key.rotate")
    key = locked(key_id)
    require_token_owner(key, actor)
    return replace(key, actor=actor, rotation=rotation)


def locked(key_id: str) -> Key:
    """Shared step: a key, ended ones too, that nobody else changes until the transaction ends."""
    key = Key.objects.select_for_update().filter(pk=key_id).first()
    if key is None:
        raise NotFoundError
    return key


def require_token_owner(key: Key, actor: Actor) -> None:
    """Refuse whoever is not the person of a token, or acts with less than it may: its new text would
    let them act as somebody else, or as more than they are."""
    if key.user_id != actor.id:
        raise NotPermittedError(
            "A token is rotated by its person alone. You may end it.",
            permission="key.rotate",
            request_at=TOKENS_AT,
        )
    for scope in key.scopes:
        if scope not in actor.scopes:
            raise ScopeNeededError(scope)


def replace(key: Key, *, actor: Actor, rotation: Rotation) -> Rotated:
    """Shared step: the successor of a locked key, once the caller has settled who may."""
    now = clock.now()
    _check(key, rotation, now)
    text, parsed = keys.make(key.kind)
    is_as_before = isinstance(rotation.expires_at, str)
    successor = Key.objects.create(
        id=parsed.id,
        kind=key.kind,
        name=key.name,
        secret_sha256=parsed.sha256,
        user_id=key.user_id,
        holder_id=key.holder_id,
        scopes=key.scopes,
        streams_glob=key.streams_glob,
        browser_origins=key.browser_origins,
        events_per_second=key.events_per_second,
        created_by=actor.label,
        expires_at=key.expires_at if is_as_before else rotation.expires_at,
    )
    if rotation.grace:
        # By the database's clock, which judges it; LEAST passes over what is NULL.
        Key.objects.filter(pk=key.pk).update(expires_at=Least("expires_at", Now() + rotation.grace))
    else:
        Key.objects.filter(pk=key.pk).update(revoked_at=now)
    key.refresh_from_db(fields=["expires_at", "revoked_at"])
    hours = rotation.grace.total_seconds() / 3600
    audit.record(
        actor,
        "key.rotated",
        ResourceRef("key", key.pk),
        summary=f"replaced the {key.kind} key {key.pk} by {successor.pk}; the old one ends "
        + (f"in {hours:g} hours at most" if rotation.grace else "at once"),
        after={"successor": successor.pk, "grace_seconds": int(rotation.grace.total_seconds())},
    )
    return Rotated(key, successor, text)


def _check(key: Key, rotation: Rotation, now: datetime) -> None:
    if key.revoked_at is not None:
        raise InvalidStateError("The key was revoked. Make a new one.")
    if key.expires_at is not None and key.expires_at <= now:
        raise InvalidStateError("The key has expired. Make a new one.")
    faults = []
    if not timedelta(0) <= rotation.grace <= LONGEST_GRACE:
        faults.append(FieldError("/grace_seconds", "range", "must be from 0 to 7 days"))
    until = rotation.expires_at
    if isinstance(until, str):
        if key.expires_at is not None and key.expires_at <= now + LONGEST_GRACE:
            said = "this key ends within 7 days: say until when the new one holds, or null"
            faults.append(FieldError("/expires_at", "required", said))
    elif until is not None and until <= now:
        faults.append(FieldError("/expires_at", "past", "must lie ahead"))
    if faults:
        raise InvalidError("The key is not rotated.", errors=faults)
