"""Signing in and out leave a line in the log, by the person's number: never an address or a name."""

import logging
from typing import Any, Final

from allauth.account.authentication import get_authentication_records
from allauth.mfa.signals import authentication_failed
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.http import HttpRequest

from governance.models import User

logger: Final = logging.getLogger("portal.security")


def listen() -> None:
    """Hear of every sign-in, sign-out and refusal; called once at start."""
    user_logged_in.connect(_signed_in, dispatch_uid="governance.signed_in")
    user_logged_out.connect(_signed_out, dispatch_uid="governance.signed_out")
    user_login_failed.connect(_refused, dispatch_uid="governance.refused")
    authentication_failed.connect(_factor_refused, dispatch_uid="governance.factor_refused")


def _signed_in(user: User, request: HttpRequest | None = None, **_: Any) -> None:
    logger.info("signed in", extra={"person": user.pk, "method": _method(request, user)})


def _method(request: HttpRequest | None, user: User) -> str:
    """By what: `password`, `socialaccount` (the company's), `mfa` (a passkey), one after the other."""
    records = get_authentication_records(request, user) if request is not None else []
    return "+".join(str(record["method"]) for record in records) or "unknown"


def _signed_out(user: User | None = None, **_: Any) -> None:
    if user is not None:
        logger.info("signed out", extra={"person": user.pk})


def _refused(**_: Any) -> None:
    # What was typed as an address may be a password: neither is written. The request's id leads on.
    logger.warning("sign-in refused", extra={"method": "password"})


def _factor_refused(user: User, **_: Any) -> None:
    logger.warning("second factor refused", extra={"person": user.pk, "method": "mfa"})
