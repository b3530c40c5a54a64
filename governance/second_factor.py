"""Second factors: who must have one, and how their secrets are kept.

Secrets of authenticator apps and the seeds of recovery codes are sealed by a data key of the vault
(`governance.privacy`), so that renewing the privacy keys covers them and a copy of the database
gives nobody a code. Of a passkey only its public key is kept.
"""

from typing import Any, Final

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.http import HttpRequest

from governance.privacy import vault
from governance.privacy.ciphers import DataKey, Place
from portal.kernel.actor import Actor
from portal.kernel.errors import NotPermittedError, UnavailableError

SET_UP_AT: Final = "/settings/second-factor/"
KINDS: Final = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
# A sign-in at the company's provider that said itself that it asked for a second factor.
BY_PROVIDER: Final = "second_factor_by_provider"
_PURPOSE: Final = "sign_in.second_factor"
_PLACE: Final = Place(0, "second_factor", "")


class SecondFactorError(NotPermittedError):
    """A session of a role that needs a second factor, without one."""

    code = "second_factor"

    def __init__(self) -> None:
        super().__init__(
            "Your role asks for a second factor.",
            permission="session.second_factor",
            request_at=SET_UP_AT,
        )


def is_missing(request: HttpRequest, actor: Actor) -> bool:
    """Whether the person of a session has a role that asks for a second factor, and has none."""
    if actor.roles.isdisjoint(settings.SECOND_FACTOR_ROLES):
        return False
    if request.session.get(BY_PROVIDER) == actor.id:
        return False
    return not has_one(actor.id)


def has_one(user_id: int) -> bool:
    """Whether a person has an authenticator app or a passkey."""
    found: Any = Authenticator.objects.filter(user_id=user_id, type__in=KINDS)
    return bool(found.exists())


def seal(text: str) -> str:
    """The secret of a factor as it is kept, `enc_…`."""
    return _key().seal(text.encode(), _PLACE)


def unseal(text: str) -> str:
    """The secret again. UnavailableError where the key is not the one that sealed it."""
    clear = _key().open(text, _PLACE)
    if clear is None:
        raise UnavailableError("The key of second factors is not at hand; see docs/sign-in.md.")
    return clear.decode()


def _key() -> DataKey:
    ref = vault.purpose_ref(_PURPOSE)
    found = vault.data_keys([ref]).get(ref)
    if found is None:
        raise UnavailableError("The key of second factors was destroyed; see docs/sign-in.md.")
    return found
