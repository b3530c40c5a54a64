"""Each request to the pages and the API: a span where spans are exported, and a line in the log.

A line says who by number, of a program by the id of its key, never by name. What was refused for
who asked or for how (no permission, too often, a forged form, a foreign host) has a line for
whoever looks after security, with the problem's code.
"""

import logging
import time
from collections.abc import Callable
from typing import Final

from django.http import HttpRequest, HttpResponse

from portal.kernel import tracing
from portal.kernel.actor import Actor

logger = logging.getLogger("portal.request")
security = logging.getLogger("portal.security")
# Asked for every few seconds, or by the dozen for one page.
_QUIET: Final = ("/static/", "/livez", "/readyz")
_REFUSED: Final = frozenset({401, 403, 429})
# Faults of a request that nobody's browser or program makes by mistake.
_ODD: Final = frozenset({"host", "key_in_query"})


def watched(
    request: HttpRequest, request_id: str, get_response: Callable[[HttpRequest], HttpResponse]
) -> HttpResponse:
    """The answer to a request, its `traceparent` with it: of our span, or as it came."""
    came = request.headers.get("traceparent", "")
    found = tracing.trail_of(came, request_id)
    is_quiet = request.path.startswith(_QUIET)
    began = time.perf_counter()
    with tracing.following(found):
        if tracing.is_on and not is_quiet:
            response = _traced(request, request_id, came, get_response)
        else:
            response = get_response(request)
            if found.trace_id:
                response["traceparent"] = came
            if not is_quiet:
                _log(request, response, began)
    return response


def _traced(
    request: HttpRequest,
    request_id: str,
    came: str,
    get_response: Callable[[HttpRequest], HttpResponse],
) -> HttpResponse:
    from opentelemetry.trace import SpanKind, StatusCode  # noqa: PLC0415  # only while it is on

    parent = tracing.context_of(came, request.headers.get("tracestate", ""))
    said = {"http.request.method": request.method or "", "portal.request_id": request_id}
    began = time.perf_counter()
    with tracing.span(
        str(request.method), kind=SpanKind.SERVER, parent=parent, attributes=said,
        request_id=request_id,
    ) as span:  # fmt: skip
        response = get_response(request)
        route = route_of(request)
        span.update_name(f"{request.method} {route}")
        span.set_attribute("http.route", route)
        span.set_attribute("http.response.status_code", response.status_code)
        if response.status_code >= 500:
            span.set_status(StatusCode.ERROR)
        response["traceparent"] = tracing.traceparent_of(span)
        _log(request, response, began)
    return response


def route_of(request: HttpRequest) -> str:
    """The address with its names left out: what is written of it must not grow without bound."""
    match = request.resolver_match
    return f"/{match.route.strip('^$')}" if match is not None else "unmatched"


def _log(request: HttpRequest, response: HttpResponse, began: float) -> None:
    said = {
        "method": request.method,
        "route": route_of(request),
        "status": response.status_code,
        **_who(request),
    }
    ms = round((time.perf_counter() - began) * 1000, 1)
    logger.info("request", extra=said | {"ms": ms})
    code = getattr(request, "problem_code", "")
    if response.status_code in _REFUSED or code in _ODD:
        security.warning("refused", extra=said | {"code": code})


def _who(request: HttpRequest) -> dict[str, int | str]:
    """Whose request it was: `person`, `key` or both; empty for nobody."""
    caller: Actor | None = getattr(request, "caller", None)
    if caller is None:
        return {}
    found: dict[str, int | str] = {"person": caller.id} if caller.is_person else {}
    return found | ({"key": caller.key_id} if caller.key_id else {})
