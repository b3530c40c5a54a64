"""Request ids, the portal's errors as answers, and refusal of requests nobody could mean."""

from collections.abc import Callable
from typing import Final
from urllib.parse import quote

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed

from portal.http.addresses import is_our_host, keep_slashes
from portal.http.problem import MethodNotAllowedError, from_exception, respond
from portal.http.watching import watched
from portal.kernel.errors import BadRequestError
from portal.kernel.identifiers import uuid7

GetResponse = Callable[[HttpRequest], HttpResponse]


def request_id(get_response: GetResponse) -> GetResponse:
    """Give each request an id, sent back as X-Request-Id, a span, and a line in the log."""

    def middleware(request: HttpRequest) -> HttpResponse:
        request.request_id = str(uuid7())  # type: ignore[attr-defined]  # read by problem and audit
        response = watched(request, request.request_id, get_response)  # type: ignore[attr-defined]
        response["X-Request-Id"] = request.request_id  # type: ignore[attr-defined]
        return response

    return middleware


_LOGOUT: Final = "/accounts/logout/"


def keep_private(get_response: GetResponse) -> GetResponse:
    """What an answer shows stays with who asked: not in caches, not in other sites' pages.

    An answer that says itself how it may be kept is left as it is. Who signs out leaves nothing
    behind in the browser's storage, where the finder remembers names.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        if request.path_info == _LOGOUT and request.method == "POST":
            response["Clear-Site-Data"] = '"storage"'
        return response

    return middleware


def _path_as_sent(request: HttpRequest) -> str:
    """The path before percent-decoding, where the server hands it on; else encoded again."""
    raw = getattr(request, "scope", {}).get("raw_path")
    return raw.decode("latin-1") if raw else quote(request.path_info)


_SLASH_OR_NOT: Final = ("/api/", "/v1/projects/")


class StrictRequest:
    """Refuse what PostgreSQL or a header can't hold, and turn the portal's errors into answers."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if "\x00" in request.path or "%00" in request.META.get("QUERY_STRING", ""):
            return respond(
                request, BadRequestError("The address holds a NUL character.", code="parameter")
            )
        if not is_our_host(request.headers.get("X-Forwarded-Host", "")):
            return respond(
                request, BadRequestError("The portal does not answer for this host.", code="host")
            )
        if request.path_info.startswith(_SLASH_OR_NOT) and request.path_info.endswith("/"):
            # The API answers with and without a trailing slash, and never redirects.
            request.path_info = request.path_info.rstrip("/")
        if request.path_info.startswith("/registry/"):
            # Subjects come percent-encoded and may hold slashes: routes see the path as sent.
            request.path_info = _path_as_sent(request)
        keep_slashes(request)
        response = self.get_response(request)
        if isinstance(response, HttpResponseNotAllowed):
            refusal = respond(request, MethodNotAllowedError("The Allow header lists what is."))
            refusal["Allow"] = response["Allow"]
            return refusal
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """The answer to an error that the portal knows; None leaves it to Django."""
        problem = from_exception(error)
        return None if problem is None else respond(request, problem)
