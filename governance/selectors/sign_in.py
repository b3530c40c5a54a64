"""How a person signs in and where they are signed in, for their settings page."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.conf import settings

from governance.models import PersonSession, User

MOST_SESSIONS: Final = 50


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A signed-in browser. `is_this` marks the one that asks."""

    id: UUID
    browser: str
    address: str | None
    created_at: datetime
    last_seen_at: datetime
    is_this: bool


@dataclass(frozen=True, slots=True)
class Passkey:
    """A key of WebAuthn. `alone` signs in without a password."""

    id: int
    name: str
    alone: bool
    created_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class SignIn:
    """`codes_left` is None where there are no recovery codes."""

    sessions: list[SessionRow]
    app_since: datetime | None
    passkeys: list[Passkey]
    codes_left: int | None
    has_password: bool
    by_company: bool

    @property
    def has_second_factor(self) -> bool:
        return self.app_since is not None or bool(self.passkeys)


def sign_in_of(user: User, *, session_key: str) -> SignIn:
    """How a person signs in, in three queries."""
    factors: list[Any] = list(Authenticator.objects.filter(user_id=user.pk).order_by("created_at"))
    codes = [row.wrap() for row in factors if row.type == Authenticator.Type.RECOVERY_CODES]
    apps = [row.created_at for row in factors if row.type == Authenticator.Type.TOTP]
    return SignIn(
        sessions=sessions_of(user, session_key=session_key),
        app_since=apps[0] if apps else None,
        passkeys=[_passkey(row) for row in factors if row.type == Authenticator.Type.WEBAUTHN],
        codes_left=len(codes[0].get_unused_codes()) if codes else None,
        has_password=user.has_usable_password(),
        by_company=has_company_account(user),
    )


def has_company_account(user: User) -> bool:
    """Whether the person came by the company's sign-in once."""
    found: Any = SocialAccount.objects.filter(user_id=user.pk, provider=settings.OIDC_ISSUER)
    return bool(found.exists())


def sessions_of(user: User, *, session_key: str = "") -> list[SessionRow]:
    """Where a person is signed in, the last used first; the newest fifty."""
    rows = PersonSession.objects.filter(user=user).order_by("-last_seen_at", "pk")
    return [
        SessionRow(
            id=row.pk,
            browser=row.browser,
            address=row.address,
            created_at=row.created_at,
            last_seen_at=row.last_seen_at,
            is_this=row.session_id == session_key,
        )
        for row in rows[:MOST_SESSIONS]
    ]


def _passkey(row: Any) -> Passkey:
    wrapped = row.wrap()
    return Passkey(
        row.pk, wrapped.name, bool(wrapped.is_passwordless), row.created_at, row.last_used_at
    )
