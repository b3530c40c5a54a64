"""POST /v1/events as a plain Django view over the same core: for WSGI servers and test clients."""

from typing import Final

from django.http import HttpRequest, HttpResponse
from django.http.request import RawPostDataException, UnreadablePostError
from django.views.decorators.csrf import csrf_exempt

from ingest import admission, door
from ingest.admission import directory
from ingest.door import Head, Reply
from ingest.store import writer
from ingest.types import AnswerDict
from portal.http import parameters
from portal.http.operations import operation
from portal.http.policy import declare
from portal.kernel import inflate
from portal.kernel.errors import BadRequestError, PortalError

_UNPREFIXED: Final = {"CONTENT_TYPE": "content-type", "CONTENT_LENGTH": "content-length"}


@csrf_exempt
@declare(POST="producer", OPTIONS="public")
@operation(
    "Take events in: one, a batch, lines, or one in binary mode with `ce-` headers.",
    takes={"dry_run": parameters.flag, "results": parameters.choice(("all",))},
    accepts={
        "application/cloudevents+json": {"type": "object"},
        "application/cloudevents-batch+json": {"type": "array", "items": {"type": "object"}},
        "application/x-ndjson": {"type": "string"},
        "application/json": {"description": "`data` of an event in binary mode."},
    },
    gives=AnswerDict,
    status=202,
    refuses=(429,),
)
def events(request: HttpRequest) -> HttpResponse:
    """Take events in. The raw ASGI handler answers this address first where it is mounted."""
    head = _head(request)
    request_id = getattr(request, "request_id", None) or door.new_request_id()
    headers = door.base_headers(head, request_id)
    try:
        reply = _answer(request, head, request_id, headers)
    except PortalError as error:
        reply = door.reply_error(error, request_id=request_id, headers=headers)
    response = HttpResponse(reply.body, status=reply.status)
    for name, value in reply.headers.items():
        if name != "Connection":  # a hop-by-hop field, which WSGI forbids
            response[name] = value
    return response


def _head(request: HttpRequest) -> Head:
    headers = [
        (_UNPREFIXED.get(name) or name.removeprefix("HTTP_").replace("_", "-").lower(), str(value))
        for name, value in request.META.items()
        if name.startswith("HTTP_") or (name in _UNPREFIXED and value)
    ]
    query = request.META.get("QUERY_STRING", "")
    return Head(request.method or "", query, tuple(headers), dict(headers))


def _answer(request: HttpRequest, head: Head, request_id: str, headers: dict[str, str]) -> Reply:
    if head.method == "OPTIONS":
        return door.preflight(head, admission.browser_origins(), headers)
    credential = door.credential(head)
    publisher = None
    if credential is not None:
        publisher = directory.publisher(credential) or directory.load_publisher(credential)
    visit = door.enter(head, publisher, request_id=request_id, headers=headers)
    body = _read(request)
    try:
        body = door.unpack(visit, body)
        envelopes = list(door.envelopes_of(visit, body))
    except BadRequestError as error:
        if not door.keeps_body(visit, error):
            raise
        submission = door.unparsable_item(visit, body, error)
        writer().submit(submission).result()
        raise door.name_dead_letter(error, submission.items[0]) from error
    batch = door.batch_of(visit, directory)
    missing = batch.names_to_load(envelopes)
    if missing:
        batch.load(missing)
    batch.load_contracts(batch.contracts_to_load(envelopes))
    if batch.secrets_to_load(envelopes):
        batch.load_secrets()
    for envelope in envelopes:
        batch.take(envelope)
    if batch.items:
        writer().submit(batch.submission()).result()
        batch.settle()
    return door.reply_to(visit, batch)


def _read(request: HttpRequest) -> bytes:
    try:
        body = request.read(inflate.MAX_SENT_BYTES + 1)
    except (UnreadablePostError, RawPostDataException, OSError) as error:
        raise BadRequestError("The body cannot be read.", code="body") from error
    if len(body) > inflate.MAX_SENT_BYTES:
        raise door.too_large()
    return bytes(body)
