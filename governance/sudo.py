"""Dangerous acts ask again who it is, unless that was said in the last 15 minutes.

A page's view carries `@sudo`: a form that is sent too late leads to the password or the second
factor, and goes on by itself afterwards. A class of the API carries `sudo = {"POST"}`: a session
that said it too long ago is refused (403, `confirm`). Personal tokens are asked nothing: they are
credentials by themselves, made by such an act and narrowed by their scopes.
"""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, Final, ParamSpec, TypeVar
from urllib.parse import urlencode

from allauth.account.adapter import get_adapter
from allauth.account.authentication import get_authentication_records
from allauth.core.exceptions import ReauthenticationRequired
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import get_user
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect

from portal.kernel.errors import NotPermittedError

P = ParamSpec("P")
R = TypeVar("R", bound=HttpResponseBase)
CONFIRM_AT: Final = "/settings/confirm/"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class ConfirmError(NotPermittedError):
    """A session did a dangerous act without having said lately who it is."""

    code = "confirm"

    def __init__(self) -> None:
        super().__init__(
            "Say again who you are: this act asks for it each 15 minutes.",
            permission="session.confirmed",
            request_at=CONFIRM_AT,
        )


def is_fresh(request: HttpRequest) -> bool:
    """Whether the person said who they are within the time: by signing in, or when asked again.

    Where there is nothing to ask (no password, no second factor, no company account), it is so.
    """
    person = get_user(request)  # the API has put an Actor in its place
    records = get_authentication_records(request, person)
    if records and time.time() - records[-1]["at"] < settings.ACCOUNT_REAUTHENTICATION_TIMEOUT:
        return True
    adapter: Any = get_adapter(request)
    return not adapter.get_reauthentication_methods(person)


def sudo(
    view: Callable[Concatenate[HttpRequest, P], R],
) -> Callable[Concatenate[HttpRequest, P], R]:
    """The view, whose changing methods ask again who it is."""

    @wraps(view)
    def asked(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if request.method not in _SAFE and not is_fresh(request):
            raise ReauthenticationRequired
        return view(request, *args, **kwargs)

    return asked


def sudo_anew(
    view: Callable[Concatenate[HttpRequest, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """As `sudo`, for forms in which people are named: one that is sent too late is not kept in the
    session while it is asked, but begun anew."""

    @wraps(view)
    def asked(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if request.method not in _SAFE and not is_fresh(request):
            messages.warning(request, "Fill it in anew: what was typed was kept nowhere.")
            return redirect(f"{CONFIRM_AT}?{urlencode({'next': request.path})}")
        return view(request, *args, **kwargs)

    return asked


def require_fresh(request: HttpRequest) -> None:
    """Refuse a session of the API that did not say lately who it is."""
    if not is_fresh(request):
        raise ConfirmError
