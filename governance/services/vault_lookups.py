"""Asking the vault what a token stands for, or which tokens stand for a value: admins, with a reason.

Each look leaves one audit row, which names tokens and never values. Nobody looks more than sixty times
an hour, so that the vault is not read out bit by bit.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.db import transaction

from governance import audit
from governance.errors import RoleNeededError
from governance.models import AuditEntry, PrivacyToken, User
from governance.privacy import vault
from governance.selectors.persons import tokens_of
from governance.services.reasons import checked_reason
from governance.types import ResourceRef
from portal.kernel import clock
from portal.kernel.actor import Actor
from portal.kernel.errors import (
    FieldError,
    InvalidError,
    RateLimitedError,
)

MOST: Final = 100
LONGEST: Final = 256
LOOKS_AN_HOUR: Final = 60
HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a token means: `value` within `purpose`. Unknown, it means nothing, or nothing any more."""

    token: str
    is_known: bool
    purpose: str = ""
    value: Any = None


@dataclass(frozen=True, slots=True)
class Standing:
    """A token that stands for a value; `at` is the value's place in what was asked."""

    at: int
    token: str
    purpose: str


@transaction.atomic
def look_up_tokens(tokens: Sequence[str], *, reason: str, actor: Actor) -> list[Meaning]:
    """What tokens stand for, in the order they were asked for.

    Raises InvalidError at `/tokens` or `/reason`, NotPermittedError for others than admins,
    RateLimitedError after too many looks, UnavailableError when a key is not at hand.
    """
    wanted = _asked(tokens, "/tokens")
    if any(not vault.is_token(token) for token in wanted):
        raise InvalidError(
            "That is no token.",
            errors=[FieldError("/tokens", "token", "a token is tok_ and 22 characters")],
        )
    why = _admit(actor, reason, ())
    rows = PrivacyToken.objects.filter(token__in=wanted).values_list("token", "purpose")
    purposes, values = dict(rows), vault.meanings(wanted)
    _record(actor, why, "looked up what tokens stand for", wanted, found=len(values))
    return [
        Meaning(token, token in values, purposes.get(token, ""), values.get(token))
        if token in values
        else Meaning(token, is_known=False)
        for token in wanted
    ]


@transaction.atomic
def look_up_values(
    values: Sequence[str], *, purpose: str | None, reason: str, actor: Actor
) -> list[Standing]:
    """The tokens that stand for values, in one purpose or in all; none is made. As `look_up_tokens`,
    with `/values`."""
    wanted = _asked(values, "/values")
    why = _admit(actor, reason, wanted)
    found = tokens_of(wanted, purpose=purpose)
    standing = [
        Standing(at, row.token, row.purpose)
        for at, value in enumerate(wanted)
        for row in found.get(value, [])
    ]
    tokens = sorted({one.token for one in standing})
    _record(actor, why, "looked up which tokens stand for values", tokens, found=len(found))
    return standing


def _asked(texts: Sequence[str], pointer: str) -> list[str]:
    found = [text.strip() for text in texts]
    fault = ""
    if not found or "" in found:
        fault = "name 1 to 100, none of them empty"
    elif len(found) > MOST:
        fault = f"may have {MOST} entries at most"
    elif any(len(one) > LONGEST for one in found):
        fault = f"each may have {LONGEST} characters at most"
    if fault:
        raise InvalidError("Say what to look up.", errors=[FieldError(pointer, "value", fault)])
    return found


def _admit(actor: Actor, reason: str, names: Sequence[str]) -> str:
    if not actor.is_admin:
        raise RoleNeededError("The vault is asked by admins.", "admin")
    why = checked_reason(reason, names)
    if actor.is_person:
        # Those of one person wait for each other, so that they are counted one by one.
        User.objects.select_for_update().get(pk=actor.id)
        _require_room(actor)
    return why


def _require_room(actor: Actor) -> None:
    """The sixtieth look ago must be an hour old: one row of the index (object, seq)."""
    ref = _ref(actor)
    rows = AuditEntry.objects.filter(object_kind=ref.kind, object_key=ref.key).order_by("-seq")
    at = rows.values_list("at", flat=True)[LOOKS_AN_HOUR - 1 : LOOKS_AN_HOUR].first()
    left = at + HOUR - clock.now() if at is not None else timedelta(0)
    if left > timedelta(0):
        raise RateLimitedError(
            f"You asked the vault {LOOKS_AN_HOUR} times within an hour. Wait, then go on.",
            headers={"Retry-After": str(math.ceil(left.total_seconds()))},
        )


def _record(actor: Actor, why: str, did: str, tokens: Sequence[str], *, found: int) -> None:
    audit.record(
        actor,
        "vault.looked_up",
        _ref(actor),
        summary=f"{did}: {why}",
        after={"reason": why, "tokens": list(tokens), "found": found},
    )


def _ref(actor: Actor) -> ResourceRef:
    return ResourceRef("vault", actor.label)
