"""What a portal that others reach must not be started with. Each refusal is a sentence with the way out.

A portal is in production when `PORTAL_URL` is https. Plain http is for this machine alone, unless
`PORTAL_INSECURE_HTTP` says that it is meant.
"""

import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured
from django.http.request import validate_host

SHORTEST_SECRET: Final = 50
_FEWEST_CHARACTERS: Final = 10
_EXAMPLES: Final = re.compile(r"django-insecure-|change.?me|example|secret.?key", re.I)
_USUAL: Final = frozenset({
    "123456", "12345678", "admin", "changeme", "default", "event-portal", "example", "foobared",
    "guest", "letmein", "pass", "password", "portal", "postgres", "postgresql", "qwerty", "redis",
    "root", "secret", "test", "valkey",
})  # fmt: skip


def refuse(settings: Mapping[str, Any]) -> None:
    """Raises ImproperlyConfigured with every refusal of these settings, one a line."""
    found = list(refusals(settings))
    if found:
        raise ImproperlyConfigured("\n".join(found))


def refusals(settings: Mapping[str, Any]) -> Iterator[str]:
    """The sentences of what these settings may not be started with."""
    url = urlsplit(settings["PUBLIC_URL"])
    if url.scheme not in {"http", "https"} or not url.hostname or url.path or url.query:
        yield "PORTAL_URL is no address of a portal; write it as https://portal.example.com."
        return
    if url.scheme == "http":
        if not is_this_machine(url.hostname) and not settings["INSECURE_HTTP"]:
            yield (
                "PORTAL_URL is http, so passwords and keys would pass the network in clear. Put a "
                "proxy with TLS before the portal and write https, or set PORTAL_INSECURE_HTTP."
            )
        return
    yield from _secrets(settings)
    yield from _hosts(settings, url.hostname)
    yield from _development(settings)


def is_this_machine(host: str) -> bool:
    """Whether a host of an address is this machine, by its number or by name."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _secrets(settings: Mapping[str, Any]) -> Iterator[str]:
    key = settings["SECRET_KEY"]
    if (
        len(key) < SHORTEST_SECRET
        or len(set(key)) < _FEWEST_CHARACTERS
        or _EXAMPLES.search(key) is not None
    ):
        yield (
            f"PORTAL_SECRET_KEY is short, simple or an example's; make {SHORTEST_SECRET} random "
            'characters: python3 -c "import secrets; print(secrets.token_hex(32))".'
        )
    database = settings["DATABASES"]["default"]
    if _is_usual(str(database["PASSWORD"]), str(database["USER"])):
        yield "The password in DATABASE_URL is a usual one; give the role another."
    redis = urlsplit(settings["REDIS_URL"])
    if _is_usual(unquote(redis.password or ""), unquote(redis.username or "")):
        yield "The password in REDIS_URL is a usual one; give the server another."
    if (
        settings["EMAIL_HOST_PASSWORD"]
        and not (settings["EMAIL_USE_TLS"] or settings["EMAIL_USE_SSL"])
        and not is_this_machine(settings["EMAIL_HOST"])
    ):
        yield (
            "The password of the mail server would pass the network in clear; set "
            "PORTAL_EMAIL_SECURITY to starttls or tls."
        )


def _is_usual(password: str, user: str) -> bool:
    """Whether a password is one that everybody tries first. None at all is the server's affair."""
    return bool(password) and (password.lower() in _USUAL or password == user)


def _hosts(settings: Mapping[str, Any], host: str) -> Iterator[str]:
    hosts = settings["ALLOWED_HOSTS"]
    if any(
        one == "*" or (one.lstrip(".").count(".") == 0 and one.startswith(".")) for one in hosts
    ):
        yield "PORTAL_ALLOWED_HOSTS lets every host in; name those that people use."
    elif not validate_host(host, hosts):
        yield f"PORTAL_ALLOWED_HOSTS lacks {host}, so no page would be shown; add it."
    for origin in settings["CSRF_TRUSTED_ORIGINS"]:
        if not origin.startswith("https://") or "*" in origin:
            yield (
                "PORTAL_TRUSTED_ORIGINS holds an origin that is not https or is for many hosts; "
                "its forms could be written by whoever is on the way."
            )
            return


def _development(settings: Mapping[str, Any]) -> Iterator[str]:
    if settings["DEBUG"]:
        yield "DEBUG is on: errors would show code and settings."
    if settings["FAILPOINTS"] or settings["FAILPOINTS_ALLOWED"]:
        yield "PORTAL_FAILPOINTS and PORTAL_FAILPOINTS_ALLOWED are for fault tests; unset them."
    if settings["STATIC_UNHASHED"]:
        yield "PORTAL_STATIC_UNHASHED is for tests; unset it and run collectstatic."
