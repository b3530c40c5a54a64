"""Changes to second factors, as allauth signals them: a row of the log, and a notice to whose they are.

Whoever steals a session and adds a factor of their own is seen by the person they stole it from.
"""

from typing import Any, Final

from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authenticator_added, authenticator_removed, authenticator_reset
from django.db import transaction

from governance import audit
from governance.models import User
from governance.services.notices import News, tell
from governance.types import NoticeKind, ResourceRef
from portal.kernel.actor import SYSTEM, Actor, ActorKind

NAMES: Final = {
    Authenticator.Type.TOTP: "an authenticator app",
    Authenticator.Type.WEBAUTHN: "a passkey",
    Authenticator.Type.RECOVERY_CODES: "recovery codes",
}


def connect() -> None:
    """Listen to the library; called once at start-up."""
    authenticator_added.connect(_added, dispatch_uid="governance.factor_added")
    authenticator_removed.connect(_removed, dispatch_uid="governance.factor_removed")
    authenticator_reset.connect(_reset, dispatch_uid="governance.factor_reset")


def _added(user: User, authenticator: Any, **kwargs: Any) -> None:
    _record(user, "second_factor.added", f"added {NAMES[authenticator.type]}")


def _removed(user: User, authenticator: Any, **kwargs: Any) -> None:
    _record(user, "second_factor.removed", f"removed {NAMES[authenticator.type]}")


def _reset(user: User, authenticator: Any, **kwargs: Any) -> None:
    _record(user, "second_factor.renewed", f"made new {NAMES[authenticator.type]}")


@transaction.atomic
def _record(user: User, action: str, said: str) -> None:
    ref = ResourceRef("person", user.email)
    audit.record(Actor(ActorKind.PERSON, user.pk, user.email), action, ref, summary=said)
    news = News(
        NoticeKind.SIGN_IN,
        ref,
        f"Somebody signed in as you {said}",
        "Was it not you? Sign out everywhere else on your settings page, and tell an admin.",
        "/settings/",
    )
    tell([user.pk], news, by=SYSTEM)
