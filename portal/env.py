"""Typed readers of environment variables. An unset or odd value stops the start with a sentence."""

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

from governance.privacy import keyring
from portal.kernel.outbound import rules
from portal.kernel.outbound.errors import RuleBrokenError
from portal.kernel.outbound.syslog import read_syslog
from portal.kernel.outbound.targets import read_target
from portal.kernel.standard_webhooks import read_secret
from portal.production import is_this_machine

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off", ""}


def text(name: str, default: str | None = None) -> str:
    """The value of NAME, or what stands in the file that NAME_FILE points to."""
    path = os.environ.get(f"{name}_FILE")
    if path:
        try:
            return Path(path).read_text("utf-8").strip()
        except OSError as error:
            raise ImproperlyConfigured(f"{name}_FILE cannot be read: {error.strerror}.") from error
    value = os.environ.get(name, default)
    if value is None:
        raise ImproperlyConfigured(f"Set {name} (or {name}_FILE); docs/settings.md says how.")
    return value


def privacy_keys(name: str) -> str:
    """The text of a keyring, after a look at its form."""
    value = text(name)
    try:
        keyring.parse(value)
    except keyring.KeyringError as error:
        raise ImproperlyConfigured(f"{name} is no keyring: {error}.") from error
    return value


def flag(name: str, *, default: bool) -> bool:
    """true, yes, on or 1; false, no, off, 0 or empty. Raises ImproperlyConfigured otherwise."""
    value = os.environ.get(name, str(default)).strip().lower()
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise ImproperlyConfigured(f"{name} must be true or false.")


def integer(name: str, default: int, *, minimum: int = 0, maximum: int = 2**31) -> int:
    """A whole number within the bounds, both included. Raises ImproperlyConfigured."""
    try:
        value = int(os.environ.get(name, str(default)))
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} must be a whole number.") from error
    if not minimum <= value <= maximum:
        raise ImproperlyConfigured(f"{name} must be from {minimum} to {maximum}.")
    return value


def choice(name: str, default: str, allowed: tuple[str, ...]) -> str:
    """One of the allowed words, in lower case however it is set. Raises ImproperlyConfigured."""
    value = text(name, default).lower()
    if value not in allowed:
        raise ImproperlyConfigured(f"{name} must be one of {', '.join(allowed)}.")
    return value


def words(name: str, default: str = "") -> list[str]:
    """A comma-separated list, without empty entries."""
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def openings(name: str) -> list[str]:
    """Hosts and networks that requests may leave for, after a look at their form."""
    found = words(name)
    try:
        rules.openings_of(tuple(found))
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}: {error}") from error
    return found


def syslog(name: str) -> str:
    """The address of a syslog receiver, empty by default. Raises ImproperlyConfigured."""
    found = text(name, "")
    try:
        if found:
            read_syslog(found)
    except RuleBrokenError as error:
        raise ImproperlyConfigured(
            f"{name}: write udp://host:port, tcp://host:port or tls://host:port."
        ) from error
    return found


def endpoint(name: str) -> str:
    """An https address (http on this machine), empty by default. Raises ImproperlyConfigured."""
    found = text(name, "")
    if not found:
        return ""
    try:
        target = read_target(found)
    except RuleBrokenError as error:
        raise ImproperlyConfigured(f"{name}: {error}") from error
    if target.scheme != "https" and not is_this_machine(target.host):
        raise ImproperlyConfigured(f"{name} must be an https:// address.")
    return found


def signing_secret(name: str, *, needed: bool) -> str:
    """A secret to sign messages with. Raises ImproperlyConfigured, in which it is not, for an odd one,
    and for none where it is needed."""
    found = text(name, "")
    if not found and not needed:
        return ""
    try:
        read_secret(found)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}: {error}.") from error
    return found


def contacts(name: str) -> list[str]:
    """Addresses under which people are reached, as security.txt wants them (RFC 9116)."""
    found = words(name)
    for one in found:
        if not re.fullmatch(r"(?:mailto:[^\s@]+@[^\s@]+|https://[^\s]+|tel:[0-9+-]+)", one):
            raise ImproperlyConfigured(
                f"{name}: write mailto:security@example.com, https://… or tel:+…"
            )
    return found


def words_of(name: str, allowed: tuple[str, ...]) -> list[str]:
    """A comma-separated list of allowed words, none by default. Raises ImproperlyConfigured."""
    found = words(name)
    if set(found) - set(allowed):
        raise ImproperlyConfigured(f"{name} may name {', '.join(allowed)}.")
    return found


def pairs(name: str, allowed: tuple[str, ...]) -> dict[str, str]:
    """A comma-separated list of `left=right`, the right being allowed words; empty by default.

    The left may hold equals signs itself. Raises ImproperlyConfigured.
    """
    found = {}
    for word in words(name):
        left, _, right = word.rpartition("=")
        if not left.strip() or right.strip() not in allowed:
            raise ImproperlyConfigured(f"{name} is group=role,…; roles are {', '.join(allowed)}.")
        found[left.strip()] = right.strip()
    return found


def database(name: str) -> dict[str, object]:
    """A Django database entry out of a postgresql:// URL."""
    url = urlsplit(text(name))
    if url.scheme not in {"postgres", "postgresql"}:
        raise ImproperlyConfigured(f"{name} must be a postgresql:// URL.")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(url.path.lstrip("/")),
        "USER": unquote(url.username or ""),
        "PASSWORD": unquote(url.password or ""),
        "HOST": url.hostname or "",
        "PORT": str(url.port or ""),
    }
