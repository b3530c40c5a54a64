"""Which hosts the portal answers for, and names in addresses that hold a slash themselves.

Such names are the aliases of imported streams.

An address arrives decoded, so `a%2Fb` and `a/b` look alike. Where the raw path is at hand (ASGI),
an encoded slash is set aside as a private character, and the converter `name` puts it back.
"""

from typing import Final
from urllib.parse import unquote

from django.conf import settings
from django.http import HttpRequest
from django.http.request import split_domain_port, validate_host
from django.urls.converters import StringConverter

_ASIDE: Final = "\ue02f"
_MAX_HOSTS: Final = 1000
_known_hosts: Final[dict[str, bool]] = {}


def is_our_host(host: str) -> bool:
    """Whether the portal answers for a host with or without a port; absent, it does."""
    known = _known_hosts.get(host)
    if known is None:
        if len(_known_hosts) >= _MAX_HOSTS:
            _known_hosts.clear()
        domain, _ = split_domain_port(host)
        known = not host or validate_host(domain, settings.ALLOWED_HOSTS)
        _known_hosts[host] = known
    return known


class NameConverter(StringConverter):
    """One segment of an address, percent-encoded slashes included."""

    def to_python(self, value: str) -> str:
        return value.replace(_ASIDE, "/")

    def to_url(self, value: str) -> str:
        return value


def keep_slashes(request: HttpRequest) -> None:
    """Set the encoded slashes of an API address aside."""
    raw = bytes(getattr(request, "scope", {}).get("raw_path") or b"")
    if b"%2f" in raw.lower() and request.path_info.startswith("/api/v1/"):
        spelled = raw.decode("latin-1").replace("%2f", "%2F").replace("%2F", f"{_ASIDE}")
        request.path_info = unquote(spelled, errors="replace").rstrip("/")
