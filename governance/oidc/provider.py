"""The company's OpenID provider as a relying party meets it (OpenID Connect Core 1.0, PKCE by RFC 7636).

1. Discovery is read at the issuer, must name that issuer, and is kept for ten minutes.
2. A code is redeemed with its verifier; requests leave by the one module that does (decision 0037).
3. The ID token's signature is checked with a key of the provider, always, by asymmetric algorithms
   only, then issuer, audience, authorised party, times, and the nonce of this very sign-in.
4. Addresses are https; plain http is taken from this machine alone.

No value of an answer goes into an error.
"""

import hmac
import threading
import time
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote_plus, urlencode, urlsplit

import jwt
import orjson
from django.conf import settings

from governance.oidc.errors import OidcError
from portal.kernel.outbound.answers import Limits
from portal.kernel.outbound.errors import BlockedError, FailedError
from portal.kernel.outbound.rules import for_named_by_the_operator
from portal.kernel.outbound.session import Session

ALGORITHMS: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
LIMITS: Final = Limits(connect_seconds=2.0, total_seconds=5.0, answer_bytes=1_048_576)
LEEWAY_SECONDS: Final = 60
_KEPT_SECONDS: Final = 600
_SCOPES: Final = "openid profile email"
_ENDPOINTS: Final = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_HERE: Final = frozenset({"127.0.0.1", "localhost", "::1"})

_lock: Final = threading.Lock()
_kept: dict[str, tuple[float, Any]] = {}

Claims = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Begun:
    """What one sign-in must come back with, kept in the session until then."""

    state: str
    nonce: str
    verifier: str


def is_on() -> bool:
    """Whether the portal has a company's provider."""
    return bool(settings.OIDC_ISSUER)


def authorize_url(begun: Begun, *, challenge: str, callback: str, again: bool) -> str:
    """Where the browser is sent. `again` has the provider ask who it is, whatever it remembers."""
    query = {
        "response_type": "code",
        "client_id": settings.OIDC_CLIENT_ID,
        "redirect_uri": callback,
        "scope": " ".join([_SCOPES, *settings.OIDC_SCOPES]),
        "state": begun.state,
        "nonce": begun.nonce,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    if again:
        query |= {"prompt": "login", "max_age": "0"}
    address = str(discovered()["authorization_endpoint"])
    return f"{address}{'&' if '?' in address else '?'}{urlencode(query)}"


def redeem(code: str, begun: Begun, *, callback: str) -> Claims:
    """The claims about who signed in, for the code the browser brought. Raises OidcError."""
    found = discovered()
    body = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": callback,
        "code_verifier": begun.verifier,
    }
    headers = {}
    methods = found.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    if "client_secret_basic" in methods:
        headers["authorization"] = _basic()
    else:
        body |= {
            "client_id": settings.OIDC_CLIENT_ID,
            "client_secret": settings.OIDC_CLIENT_SECRET,
        }
    answer = _ask("POST", found["token_endpoint"], form=body, headers=headers)
    token = answer.get("id_token")
    if not isinstance(token, str):
        raise OidcError("answer", "no id_token")
    claims = verified(token, nonce=begun.nonce)
    return claims | _told(found, answer.get("access_token"), claims)


def _told(found: Claims, access_token: object, claims: Claims) -> Claims:
    """What the userinfo endpoint adds where the token itself names no address or no groups."""
    lacks = "email" not in claims or settings.OIDC_GROUPS_CLAIM not in {"", *claims}
    address = found.get("userinfo_endpoint")
    if not lacks or not isinstance(address, str) or not isinstance(access_token, str):
        return {}
    told = _ask("GET", address, headers={"authorization": f"Bearer {access_token}"})
    if told.get("sub") != claims["sub"]:
        raise OidcError("token", "userinfo is about somebody else")
    return {name: value for name, value in told.items() if name not in claims}


def verified(token: str, *, nonce: str) -> Claims:
    """The claims of an ID token that is what it must be. Raises OidcError."""
    try:
        header = jwt.get_unverified_header(token)
        algorithm = header.get("alg")
        if algorithm not in ALGORITHMS:
            raise OidcError("token", "algorithm")
        claims: Claims = jwt.decode(
            token,
            key=_key(header.get("kid"), algorithm),
            algorithms=[algorithm],
            audience=settings.OIDC_CLIENT_ID,
            issuer=settings.OIDC_ISSUER,
            leeway=LEEWAY_SECONDS,
            options={"require": ["iss", "sub", "aud", "exp", "iat"]},
        )
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise OidcError("token", type(error).__name__) from error
    said = claims.get("nonce")
    if not isinstance(said, str) or not hmac.compare_digest(said.encode(), nonce.encode()):
        raise OidcError("token", "nonce")
    audience = claims["aud"]
    if isinstance(audience, list) and len(audience) > 1 and "azp" not in claims:
        raise OidcError("token", "several audiences")
    if claims.get("azp", settings.OIDC_CLIENT_ID) != settings.OIDC_CLIENT_ID:
        raise OidcError("token", "authorised party")
    if not isinstance(claims["sub"], str) or not 0 < len(claims["sub"]) <= 190:
        raise OidcError("token", "subject")
    return claims


def _key(kid: object, algorithm: str) -> Any:
    """The provider's key of an id; read anew once when it is not known, as keys are changed."""
    for is_anew in (False, True):
        keys = _keys(anew=is_anew)
        fitting = [key for key in keys if kid is None or key.get("kid") == kid]
        if len(fitting) == 1:
            found = jwt.PyJWK(fitting[0], algorithm=algorithm)
            if found.key_type == "oct":
                break
            return found.key
    raise OidcError("token", "no such key")


def _keys(*, anew: bool) -> list[Claims]:
    keys = _remembered("keys", discovered()["jwks_uri"], anew=anew).get("keys")
    if not isinstance(keys, list):
        raise OidcError("answer", "keys")
    return [key for key in keys if isinstance(key, dict) and key.get("use", "sig") == "sig"]


def discovered() -> Claims:
    """The provider's own description, checked. Raises OidcError."""
    issuer = str(settings.OIDC_ISSUER)
    found = _remembered(
        "discovery", f"{issuer.rstrip('/')}/.well-known/openid-configuration", anew=False
    )
    if found.get("issuer") != issuer:
        raise OidcError("answer", "it names another issuer")
    for name in _ENDPOINTS:
        if not isinstance(found.get(name), str):
            raise OidcError("answer", f"no {name}")
    return found


def _remembered(name: str, address: str, *, anew: bool) -> Claims:
    key, now = f"{name} {address}", time.monotonic()
    with _lock:
        kept = _kept.get(key)
    if kept is not None and not anew and now - kept[0] < _KEPT_SECONDS:
        return dict(kept[1])
    found = _ask("GET", address)
    with _lock:
        _kept[key] = (now, found)
    return dict(found)


def forget() -> None:
    """Remember nothing of the provider; for tests, whose provider changes."""
    with _lock:
        _kept.clear()


def _basic() -> str:
    """The client's credentials as RFC 6749 §2.3.1 has them: each part form-encoded first."""
    pair = f"{quote_plus(settings.OIDC_CLIENT_ID)}:{quote_plus(settings.OIDC_CLIENT_SECRET)}"
    return f"Basic {b64encode(pair.encode()).decode()}"


def _ask(
    method: str,
    address: str,
    *,
    form: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Claims:
    """A JSON object of the provider, of at most a megabyte. Raises OidcError."""
    parts = urlsplit(address)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _HERE):
        raise OidcError("answer", "an address without https")
    sent = {"accept": "application/json", **(headers or {})}
    body = b""
    if form is not None:
        sent["content-type"] = "application/x-www-form-urlencoded"
        body = urlencode(form).encode()
    try:
        with Session(for_named_by_the_operator(), limits=LIMITS) as session:
            answer = session.send(method, address, content=body, headers=sent)
    except BlockedError as error:
        raise OidcError("unreachable", error.rule) from error
    except FailedError as error:
        kind = "answer" if error.code == "too_large" else "unreachable"
        raise OidcError(kind, error.code) from error
    if answer.status >= 500:
        raise OidcError("unreachable", f"status {answer.status}")
    if answer.status != 200:
        raise OidcError("refused", f"status {answer.status}")
    try:
        found = orjson.loads(answer.body)
    except orjson.JSONDecodeError as error:
        raise OidcError("answer", "not JSON") from error
    if not isinstance(found, dict):
        raise OidcError("answer", "not an object")
    return found
