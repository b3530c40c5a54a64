"""Light or dark, kept in the browser: whoever sits there sees it before and after signing in."""

from typing import Final

from django.http import HttpRequest, HttpResponse

THEMES: Final = ("light", "dark")
_COOKIE: Final = "theme"
_YEAR_SECONDS: Final = 365 * 86_400


def theme_of(request: HttpRequest) -> str:
    """The theme that was chosen; empty: as the system has it."""
    chosen = request.COOKIES.get(_COOKIE, "")
    return chosen if chosen in THEMES else ""


def keep_theme(response: HttpResponse, request: HttpRequest, chosen: str) -> None:
    """Have the browser keep a theme; without one, as the system has it from now on."""
    if chosen in THEMES:
        response.set_cookie(
            _COOKIE, chosen, max_age=_YEAR_SECONDS, samesite="Lax", secure=request.is_secure()
        )
    elif not chosen:
        response.delete_cookie(_COOKIE, samesite="Lax")
