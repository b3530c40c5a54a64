"""The Segment tracking API as Django views, and the settings that its browser SDK asks for."""

from typing import Final
from urllib.parse import urlsplit

import orjson
from django.conf import settings as portal_settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from ingest.doors import by_path, door, door_segment
from ingest.doors.door import Head, Reply
from ingest.doors.views_events import head_of, publisher_of, response_of, serve
from portal.http.operations import operation
from portal.http.problem import MethodNotAllowedError
from portal.kernel.errors import PortalError, UnauthenticatedError

_METHODS: Final = "GET, HEAD, OPTIONS"


@csrf_exempt
@operation(
    "Take calls of the Segment HTTP tracking API in: one, or under `batch` and `import` many.",
    accepts={"application/json": {"type": "object"}},
    refuses=(429,),
)
def track(request: HttpRequest) -> HttpResponse:
    """Take calls in."""
    return serve(request, by_path.SEGMENT)


@csrf_exempt
@operation("What Segment's SDK for browsers asks first: where to send to.")
def settings(request: HttpRequest, write_key: str) -> HttpResponse:
    """The settings of a write key, which stands in the address as that SDK has it."""
    head = head_of(request)
    headers = door.base_headers(head, getattr(request, "request_id", "") or door.new_request_id())
    try:
        reply = _settings(head, write_key, headers)
    except PortalError as error:
        reply = door_segment.refusal(head, error, headers)
    return response_of(reply)


def _settings(head: Head, key: str, headers: dict[str, str]) -> Reply:
    door.check_head(head)
    if head.method == "OPTIONS":
        return door_segment.preflight(head, headers, _METHODS)
    door.refuse_key_in(head.query)
    if head.method not in ("GET", "HEAD"):
        raise MethodNotAllowedError("Read it with GET.", headers={"Allow": _METHODS})
    publisher = publisher_of(key)
    if publisher is None:
        raise UnauthenticatedError
    door.check_origin(head, publisher, headers)
    host = head.get("host") or urlsplit(portal_settings.PUBLIC_URL).netloc
    said = {"integrations": {"Segment.io": {"apiKey": key, "apiHost": f"{host}/v1"}}}
    headers["Content-Type"] = "application/json"
    return Reply(200, headers, orjson.dumps(said))
