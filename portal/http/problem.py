"""Every error as one shape: RFC 9457 problem documents for machines, a page for people.

Three levels use it: the DRF exception handler, Django's own handlers (400, 403, 404, 500, CSRF)
and the raw ingest road, which calls `document` directly.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import OperationalError
from django.db.utils import InterfaceError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from psycopg_pool import PoolTimeout
from rest_framework import exceptions as drf
from rest_framework.response import Response

from portal.kernel.errors import (
    BadRequestError,
    FieldErrorDict,
    NotFoundError,
    NotPermittedError,
    PortalError,
    RateLimitedError,
    TooLargeError,
    UnauthenticatedError,
    UnavailableError,
    UnsupportedMediaError,
)

logger = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
MACHINE_PATHS: Final = tuple(
    f"/{name}/" for name in ("api", "v1", "ofrep", "registry", "livez", "readyz", "metrics")
)

# Facades of other protocols speak of errors in that protocol's way: a function by address.
ErrorShape = Callable[[PortalError], HttpResponse]
_SHAPES: Final[dict[str, ErrorShape]] = {}


def shape_errors(prefix: str, shape: ErrorShape) -> None:
    """Have every error under an address answered by `shape`; called once by its app at start."""
    _SHAPES[prefix] = shape


def _shaped(request: HttpRequest, error: PortalError) -> HttpResponse | None:
    for prefix, shape in _SHAPES.items():
        if request.path == prefix or request.path.startswith(f"{prefix}/"):
            return shape(error)
    return None


def document(error: PortalError, *, request_id: str) -> dict[str, object]:
    """The problem document of an error: at most 20 field errors, never a submitted value."""
    problem: dict[str, object] = {
        "type": f"/problems/{error.code}",
        "title": error.title,
        "status": error.status,
        "code": error.code,
        "detail": error.detail,
        "instance": request_id,
    }
    errors: list[FieldErrorDict] = [item.as_dict() for item in error.errors]
    problem["errors"] = errors
    problem.update(error.extra)
    return problem


def wants_document(request: HttpRequest) -> bool:
    """Whether the caller is a machine, by the address."""
    return f"{request.path}/".startswith(MACHINE_PATHS)


def _takes_document(request: HttpRequest) -> bool:
    """Whether an error is answered as a document: to a machine, and to who takes no page."""
    return wants_document(request) or not request.accepts("text/html")


def remember(request: HttpRequest, error: PortalError) -> None:
    """Keep what a request was refused with, for the line in the log and for the audit log. A page
    that says an error above a form, instead of answering with it, calls this itself."""
    request.problem_code = error.code  # type: ignore[attr-defined]  # read by the line in the log
    request.problem = error  # type: ignore[attr-defined]  # read by problem_of


def problem_of(request: HttpRequest) -> PortalError | None:
    """What a request was refused with; None for one that was not."""
    found: PortalError | None = getattr(request, "problem", None)
    return found


def respond(request: HttpRequest, error: PortalError) -> HttpResponse:
    """Answer an error as its caller reads it: a document under machine paths, else a page."""
    request_id = getattr(request, "request_id", "")
    remember(request, error)
    response: HttpResponse
    if (shaped := _shaped(request, error)) is not None:
        response = shaped
    elif _takes_document(request):
        response = JsonResponse(
            document(error, request_id=request_id), status=error.status, content_type=MEDIA_TYPE
        )
    else:
        response = render(
            request,
            "portal/error.html",
            {"error": error, "request_id": request_id},
            status=error.status,
        )
    for name, value in error.headers.items():
        response[name] = value
    response["Cache-Control"] = "no-store"
    return response


class MethodNotAllowedError(PortalError):
    status = 405
    code = "method_not_allowed"
    title = "This method is not allowed here"


def from_exception(error: Exception) -> PortalError | None:
    """The portal's error for a framework's or the database's; None for what is truly unforeseen."""
    if isinstance(error, PortalError):
        return error
    if isinstance(error, (Http404, drf.NotFound)):
        return NotFoundError()
    if isinstance(error, (drf.NotAuthenticated, drf.AuthenticationFailed)):
        return UnauthenticatedError()
    if isinstance(error, (PermissionDenied, drf.PermissionDenied)):
        return NotPermittedError()
    if isinstance(error, drf.MethodNotAllowed):
        return MethodNotAllowedError("The Allow header lists what is.")
    if isinstance(error, drf.UnsupportedMediaType):
        return UnsupportedMediaError("Send application/json in UTF-8.")
    if isinstance(error, RequestDataTooBig):
        return TooLargeError("A body may have at most 5 MiB as sent.")
    if isinstance(error, (SuspiciousOperation, drf.ParseError)):
        return BadRequestError("The request cannot be read.")
    if isinstance(error, (OperationalError, InterfaceError, PoolTimeout)):
        return UnavailableError("The database does not answer just now. Try again.")
    return None


def handle_api_exception(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """DRF's exception handler: every error of the API leaves as a problem document."""
    problem = from_exception(error)
    if problem is None:
        return None
    request = context["request"]
    remember(request._request, problem)
    response = Response(
        document(problem, request_id=getattr(request, "request_id", "")),
        status=problem.status,
        content_type=MEDIA_TYPE,
        headers=problem.headers,
    )
    response["Cache-Control"] = "no-store"
    return response


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return respond(request, BadRequestError("The request cannot be read."))


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return respond(request, NotPermittedError())


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return respond(request, NotFoundError())


def too_many(request: HttpRequest) -> HttpResponse:
    """What allauth answers when one of its limits is reached; their windows are of a minute."""
    return respond(
        request,
        RateLimitedError(
            "Too many tries from here. Wait a minute, then try again.",
            headers={"Retry-After": "60"},
        ),
    )


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return respond(
        request,
        NotPermittedError(
            "The form was open too long or came from another site. Load the page again.",
            code="csrf",
        ),
    )


def server_error(request: HttpRequest) -> HttpResponse:
    """The last resort: no template, no database."""
    error = PortalError("It has been logged under the request id. Trying again may help.")
    request_id = getattr(request, "request_id", "")
    if (shaped := _shaped(request, error)) is not None:
        return shaped
    if _takes_document(request):
        return JsonResponse(
            document(error, request_id=request_id), status=500, content_type=MEDIA_TYPE
        )
    return HttpResponse(
        "<!doctype html><html lang=en><title>Something failed</title>"
        "<h1>Something failed on our side</h1><p>It has been logged. Trying again may help.</p>",
        status=500,
    )
