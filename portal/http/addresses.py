"""Names in addresses that hold a slash themselves, such as the aliases of imported streams.

An address arrives decoded, so `a%2Fb` and `a/b` look alike. Where the raw path is at hand (ASGI),
an encoded slash is set aside as a private character, and the converter `name` puts it back.
"""

from typing import Final
from urllib.parse import unquote

from django.http import HttpRequest
from django.urls.converters import StringConverter

_ASIDE: Final = "\ue02f"


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
