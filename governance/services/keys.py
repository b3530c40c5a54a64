"""Making, revoking and recognising credentials."""

import base64
import binascii
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from governance import audit, keys
from governance.errors import PeopleOnlyError, ScopeNeededError
from governance.models import Key, User
from governance.types import ResourceRef
from portal.kernel import clock
from portal.kernel.actor import ALL_SCOPES, Actor
from portal.kernel.errors import FieldError, InvalidError, NotFoundError

_MINUTE: Final = timedelta(minutes=1)
# What a browser sends as `Origin`: no path, no slash at the end, the host in lower case.
_ORIGIN: Final = re.compile(
    r"https?://(?:[a-z0-9-]+(?:\.[a-z0-9-]+)*|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?"
)


def create_key(
    *,
    actor: Actor,
    kind: str,
    name: str,
    user: User | None = None,
    holder_id: int | None = None,
    scopes: Sequence[str] = (),
    streams_glob: str = "*",
    expires_at: datetime | None = None,
    browser_origins: Sequence[str] = (),
    made: tuple[str, keys.ParsedKey] | None = None,
) -> tuple[Key, str]:
    """Make a credential and give its text, which is shown this once and never kept.

    `browser_origins` mark it as safe to stand in pages of these origins, and good for no others.
    `made` is a credential that was derived (`governance.keys.derive`) instead of drawn.
    """
    for origin in browser_origins:
        if len(origin) > 253 or not _ORIGIN.fullmatch(origin):
            fault = FieldError(
                "/browser_origins", "origin", "must read like https://shop.example, without a path"
            )
            raise InvalidError("An origin is not one.", errors=[fault])
    if set(scopes) - ALL_SCOPES:
        raise InvalidError(f"Scopes are {', '.join(sorted(ALL_SCOPES))}.", code="scope")
    text, parsed = made or keys.make(kind)
    with transaction.atomic():
        key = Key.objects.create(
            id=parsed.id,
            kind=kind,
            name=name,
            secret_sha256=parsed.sha256,
            user=user,
            holder_id=holder_id,
            scopes=sorted(scopes or (ALL_SCOPES if kind == "user" else ())),
            streams_glob=streams_glob,
            created_by=actor.label,
            expires_at=expires_at,
            browser_origins=sorted(set(browser_origins)),
        )
        audit.record(
            actor,
            "key.created",
            ResourceRef("key", key.id),
            summary=f"made the {kind} key {key.id} named {name}",
        )
    return key, text


def create_token(
    *,
    actor: Actor,
    name: str,
    scopes: Sequence[str] | None = None,
    expires_at: datetime | None = None,
) -> tuple[Key, str]:
    """Make a personal token of the actor; without scopes, as wide as what they act with.

    Raises ScopeNeededError for a scope they do not act with: a narrow token makes no wider one.
    """
    if not actor.is_person:
        raise PeopleOnlyError("self")
    wanted = sorted(actor.scopes if scopes is None else scopes)
    for scope in wanted:
        if scope not in actor.scopes:
            raise ScopeNeededError(scope)
    faults = []
    if not wanted:
        faults.append(FieldError("/scopes", "empty", "name at least one"))
    if expires_at is not None and expires_at <= clock.now():
        faults.append(FieldError("/expires_at", "past", "must lie ahead"))
    if faults:
        raise InvalidError("The token would be of no use.", errors=faults)
    return create_key(
        actor=actor,
        kind="user",
        name=name,
        user=User.objects.get(pk=actor.id),
        scopes=wanted,
        expires_at=expires_at,
    )


def revoke_key(key_id: str, *, actor: Actor) -> None:
    """End a credential at once. Missing or already revoked: NotFoundError."""
    with transaction.atomic():
        if not Key.objects.filter(pk=key_id, revoked_at=None).update(revoked_at=clock.now()):
            raise NotFoundError
        audit.record(
            actor, "key.revoked", ResourceRef("key", key_id), summary=f"revoked the key {key_id}"
        )


def find_key(text: str) -> Key | None:
    """The live key of a presented credential. Unknown, revoked, expired: None, one cause for all.

    Expiry is judged by the database's clock; last use is written at most once a minute.
    """
    parsed = keys.parse(text)
    if parsed is None:
        return None
    key = (
        Key.objects.select_related("user")
        .filter(Q(expires_at=None) | Q(expires_at__gt=Now()), pk=parsed.id, revoked_at=None)
        .first()
    )
    stored = bytes(key.secret_sha256) if key is not None else None
    if not keys.matches(parsed, stored) or key is None or key.kind != parsed.kind:
        return None
    if key.user is not None and not key.user.is_active:
        return None
    Key.objects.filter(pk=key.pk).filter(
        Q(last_used_at=None) | Q(last_used_at__lt=Now() - _MINUTE)
    ).update(last_used_at=Now())
    return key


def credential_of(authorization: str) -> str | None:
    """The credential inside an Authorization header: Bearer, or Basic user name without password."""
    scheme, _, rest = authorization.strip().partition(" ")
    rest = rest.strip()
    if scheme.lower() == "bearer":
        return rest or None
    if scheme.lower() == "basic":
        try:
            name, _, password = base64.b64decode(rest, validate=True).decode("utf-8").partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return name if name and not password else None
    return None
