"""Signing in and out leave a line in the log, by the person's number: never an address or a name."""

import logging
from typing import Any, Final

from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed

from governance.models import User

logger: Final = logging.getLogger("portal.security")


def listen() -> None:
    """Hear of every sign-in, sign-out and refusal; called once at start."""
    user_logged_in.connect(_signed_in, dispatch_uid="governance.signed_in")
    user_logged_out.connect(_signed_out, dispatch_uid="governance.signed_out")
    user_login_failed.connect(_refused, dispatch_uid="governance.refused")


def _signed_in(user: User, **_: Any) -> None:
    logger.info("signed in", extra={"person": user.pk, "method": "password"})


def _signed_out(user: User | None = None, **_: Any) -> None:
    if user is not None:
        logger.info("signed out", extra={"person": user.pk})


def _refused(**_: Any) -> None:
    # What was typed as an address may be a password: neither is written. The request's id leads on.
    logger.warning("sign-in refused", extra={"method": "password"})
