"""Checks of Redis, which holds the queue and hints, and no truth."""

from typing import Final
from urllib.parse import urlsplit

import redis
from django.conf import settings
from redis.exceptions import RedisError, ResponseError

from portal.doctor.types import Finding, fail, ok, unmeasured, warn
from portal.production import is_this_machine

_SECONDS: Final = 2.0


def client() -> redis.Redis:
    return redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=_SECONDS, socket_connect_timeout=_SECONDS
    )


def reachable() -> Finding:
    try:
        with client() as link:
            link.ping()
    except RedisError as error:
        return fail(f"it does not answer: {error}", "Start Redis or mend REDIS_URL.")
    return ok("it answers")


def eviction() -> Finding:
    """Whether the server may throw away what waits in the queue."""
    found = _config("maxmemory*")
    if found is None:
        return unmeasured("the server does not tell its configuration")
    policy = found.get("maxmemory-policy", "")
    if policy == "noeviction":
        return ok("noeviction")
    todo = "Set maxmemory-policy to noeviction."
    if found.get("maxmemory", "0") != "0":
        return fail(f"under {policy} queued work may be thrown away", todo)
    return warn(f"{policy}, and no limit yet that would make it act", todo)


def persistence() -> Finding:
    found = _config("*")
    if found is None:
        return unmeasured("the server does not tell its configuration")
    if found.get("appendonly") == "yes" or found.get("save"):
        return ok("kept over a restart")
    return warn(
        "a restart forgets what was queued; it comes again, later",
        "Set appendonly to yes.",
    )


def password() -> Finding:
    url = urlsplit(settings.REDIS_URL)
    if url.password:
        return ok("asked for")
    if is_this_machine(url.hostname or "localhost"):
        return warn("none, on this machine", "Set requirepass and put the password in REDIS_URL.")
    return fail(
        "none, and others reach the server", "Set requirepass and put the password in REDIS_URL."
    )


def _config(pattern: str) -> dict[str, str] | None:
    """Settings of the server; None where it does not tell."""
    try:
        with client() as link:
            found = link.config_get(pattern)
    except ResponseError:
        return None
    return {str(_text(name)): str(_text(value)) for name, value in dict(found).items()}


def _text(value: object) -> object:
    return value.decode() if isinstance(value, bytes) else value
