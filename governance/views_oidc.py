"""Signing in at the company's provider: sent there, and come back."""

import hashlib
import hmac
import logging
import secrets
import time
from base64 import urlsafe_b64encode
from dataclasses import asdict
from typing import Any, Final
from urllib.parse import urlencode

from allauth.account.internal.flows.login import record_authentication
from allauth.account.internal.flows.reauthentication import resume_request
from allauth.account.utils import perform_login
from allauth.core.internal import ratelimit
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from governance.models import User
from governance.oidc import provider
from governance.oidc.errors import OidcError
from governance.oidc.provider import Begun
from governance.second_factor import BY_PROVIDER
from governance.services.company_sign_in import person_of
from portal.http.problem import too_many
from portal.kernel.errors import NotFoundError

logger = logging.getLogger(__name__)

_KEY: Final = "oidc_begun"
_MOST_BEGUN: Final = 5
_BEGUN_SECONDS: Final = 600
# What browsers say of a link or a form on somebody else's page.
_ELSEWHERE: Final = frozenset({"cross-site", "same-site"})


@require_GET
@never_cache
def begin(request: HttpRequest) -> HttpResponse:
    """Send the browser to the provider. From another site it comes to the sign-in page first, where
    the person says that they want to: a session is begun by nobody else's page."""
    _require_on()
    if request.headers.get("Sec-Fetch-Site", "none") in _ELSEWHERE:
        wanted = _next(request)
        at = reverse("account_login")
        return redirect(f"{at}?{urlencode({'next': wanted})}" if wanted else at)
    return _begin(request, again=False)


@require_GET
@never_cache
def again(request: HttpRequest) -> HttpResponse:
    """Have the provider ask once more who it is, for a dangerous act."""
    return _begin(request, again=True)


def _begin(request: HttpRequest, *, again: bool) -> HttpResponse:
    _require_on()
    if not ratelimit.consume(request, app="allauth.account", action="login", limit_get=True):
        return too_many(request)
    begun = Begun(*(secrets.token_urlsafe(32) for _ in range(3)))
    digest = hashlib.sha256(begun.verifier.encode()).digest()
    challenge = urlsafe_b64encode(digest).decode().rstrip("=")
    try:
        address = provider.authorize_url(
            begun, challenge=challenge, callback=_callback(), again=again
        )
    except OidcError as error:
        return _failed(request, error)
    waiting = request.session.get(_KEY, [])[-(_MOST_BEGUN - 1) :]
    kept = asdict(begun) | {"at": time.time(), "next": _next(request), "again": again}
    request.session[_KEY] = [*waiting, kept]
    return redirect(address)


@require_GET
@never_cache
def callback(request: HttpRequest) -> HttpResponse:
    """Who comes back from the provider: checked, found, and signed in by the same steps as others."""
    _require_on()
    try:
        kept = _take(request)
        if request.GET.get("iss", settings.OIDC_ISSUER) != settings.OIDC_ISSUER:
            raise OidcError("token", "another issuer answered")
        if "error" in request.GET or not request.GET.get("code"):
            is_cancelled = request.GET.get("error") == "access_denied"
            raise OidcError("cancelled" if is_cancelled else "refused", "no code")
        begun = Begun(kept["state"], kept["nonce"], kept["verifier"])
        claims = provider.redeem(request.GET["code"], begun, callback=_callback())
        if kept["again"]:
            _require_just_now(claims, kept["at"])
        person = _found(claims)
    except OidcError as error:
        return _failed(request, error)
    return _sign_in(request, person, claims, kept)


def _sign_in(
    request: HttpRequest, person: User, claims: provider.Claims, kept: dict[str, Any]
) -> HttpResponse:
    if request.user.is_authenticated and request.user.pk != person.pk:
        logout(request)
    is_again = bool(request.user.is_authenticated and kept["again"])
    record_authentication(
        request, person, "socialaccount", provider=settings.OIDC_ISSUER,
        reauthenticated=True if is_again else None,
    )  # fmt: skip
    methods = claims.get("amr")
    if isinstance(methods, list) and "mfa" in methods:
        request.session[BY_PROVIDER] = person.pk
    if is_again:
        # The library looks there for where the act goes on.
        request.GET = QueryDict(urlencode({"next": kept["next"]}))
        return resume_request(request) or redirect("settings")
    if request.user.is_authenticated:
        return redirect(kept["next"] or "/")
    answer: HttpResponse = perform_login(request, person, redirect_url=kept["next"] or None)
    return answer


def _found(claims: provider.Claims) -> User:
    """Who it is. Of two first sign-ins at once the later one finds what the other made."""
    try:
        return person_of(claims)
    except IntegrityError:
        return person_of(claims)


def _take(request: HttpRequest) -> dict[str, Any]:
    """What was begun under the state that came back, once. Raises OidcError."""
    state = request.GET.get("state", "")
    waiting: list[dict[str, Any]] = request.session.get(_KEY, [])
    found = [one for one in waiting if hmac.compare_digest(one["state"].encode(), state.encode())]
    if not found:
        raise OidcError("state", "unknown")
    request.session[_KEY] = [one for one in waiting if one is not found[0]]
    if time.time() - found[0]["at"] > _BEGUN_SECONDS:
        raise OidcError("state", "too old")
    return found[0]


def _require_just_now(claims: provider.Claims, begun_at: float) -> None:
    """The provider must have asked anew: it was told to, and says when it did."""
    at = claims.get("auth_time")
    if not isinstance(at, int) or at < begun_at - provider.LEEWAY_SECONDS:
        raise OidcError("token", "nobody was asked anew")


def _failed(request: HttpRequest, error: OidcError) -> HttpResponse:
    logger.warning("company sign-in failed: %s", error)
    messages.error(request, f"{settings.OIDC_NAME} did not sign you in. {error.said}")
    return redirect("settings" if request.user.is_authenticated else "account_login")


def _callback() -> str:
    return f"{settings.PUBLIC_URL}/accounts/company/callback/"


def _next(request: HttpRequest) -> str:
    wanted = request.GET.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted[:2000] if is_ours else ""


def _require_on() -> None:
    if not provider.is_on():
        raise NotFoundError
