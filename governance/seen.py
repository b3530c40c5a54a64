"""Notes that a signed-in browser is in use, at most once a minute and process, and for how long."""

import time
from datetime import timedelta
from typing import Any, Final, cast

from allauth.account.adapter import get_adapter
from allauth.account.authentication import get_authentication_records
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db.models.functions import Now
from django.http import HttpRequest

from governance import browsers
from governance.models import PersonSession, User
from governance.services.sessions import note_session

_EVERY_SECONDS: Final = 60
_MOST: Final = 20_000
_noted: dict[str, float] = {}


def seen(request: HttpRequest, *, anew: bool = False) -> None:
    """Keep when the session of a signed-in request was last used, from where and by what.

    `anew` writes whatever is remembered: the session has just begun.
    """
    key = request.session.session_key
    now = time.monotonic()
    if not key or (not anew and now - _noted.get(key, -_EVERY_SECONDS) < _EVERY_SECONDS):
        return
    if len(_noted) >= _MOST:
        _noted.clear()
    _noted[key] = now
    note_session(
        key,
        user_id=cast(User, request.user).pk,
        browser=browsers.in_words(request.headers.get("User-Agent", "")),
        address=address_of(request),
    )


def is_over(request: HttpRequest) -> bool:
    """Whether a session began longer ago than sessions may last, however much it was used since, or
    was not used for too long."""
    if not request.session.session_key or not request.user.is_authenticated:
        return False
    records = get_authentication_records(request, request.user)
    if records and time.time() - records[0]["at"] > settings.SESSION_COOKIE_AGE:
        return True
    return _is_idle(request.session.session_key)


def _is_idle(key: str) -> bool:
    """Whether the last use that is noted of a session is too long ago, by the database's clock.

    One query a minute and session: what this process noted within the minute is in use.
    """
    if time.monotonic() - _noted.get(key, -_EVERY_SECONDS) < _EVERY_SECONDS:
        return False
    since = Now() - timedelta(hours=settings.SESSION_IDLE_HOURS)
    return PersonSession.objects.filter(session_id=key, last_seen_at__lt=since).exists()


def address_of(request: HttpRequest) -> str | None:
    """Where a request comes from, by the same rule as the limits of sign-in; None where unknown."""
    adapter: Any = get_adapter(request)
    try:
        return str(adapter.get_client_ip(request))
    except PermissionDenied:
        return None
