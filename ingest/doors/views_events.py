"""The doors as plain Django views over the same core: for WSGI servers and test clients.

The raw ASGI handler answers these addresses first where it is mounted.
"""

from typing import Final

from django.http import HttpRequest, HttpResponse
from django.http.request import RawPostDataException, UnreadablePostError
from django.views.decorators.csrf import csrf_exempt

from ingest.doors import by_path, door
from ingest.doors.door import Door, Head, Reply, Visit
from ingest.doors.settling import start_settling
from ingest.judging import admission
from ingest.judging.admission import Publisher, directory
from ingest.judging.pipeline import Batch
from ingest.log.store import writer
from ingest.protocols.cloudevents import envelopes_of, unbounded
from ingest.types import AnswerDict, Envelope
from portal.http import parameters
from portal.http.operations import operation
from portal.kernel.errors import BadRequestError, PortalError

_UNPREFIXED: Final = {"CONTENT_TYPE": "content-type", "CONTENT_LENGTH": "content-length"}


@csrf_exempt
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
    """Take events in."""
    return serve(request, by_path.EVENTS)


def serve(request: HttpRequest, at: Door) -> HttpResponse:
    """Answer one request at a door, whatever comes."""
    head = head_of(request)
    request_id = getattr(request, "request_id", None) or door.new_request_id()
    headers = door.base_headers(head, request_id)
    try:
        reply = _answer(request, at, head, request_id, headers)
    except PortalError as error:
        reply = at.refuse(head, error, request_id=request_id, headers=headers)
    return response_of(reply)


def response_of(reply: Reply) -> HttpResponse:
    response = HttpResponse(reply.body, status=reply.status)
    for name, value in reply.headers.items():
        if name != "Connection":  # a hop-by-hop field, which WSGI forbids
            response[name] = value
    return response


def head_of(request: HttpRequest) -> Head:
    """The head of a Django request; names of headers in lower case with dashes again."""
    headers = [
        (_UNPREFIXED.get(name) or name.removeprefix("HTTP_").replace("_", "-").lower(), str(value))
        for name, value in request.META.items()
        if name.startswith("HTTP_") or (name in _UNPREFIXED and value)
    ]
    query = request.META.get("QUERY_STRING", "")
    return Head(request.method or "", request.path, query, tuple(headers), dict(headers))


def publisher_of(credential: str | None) -> Publisher | None:
    """The publisher of a credential, cached or looked up, which blocks on the database; None when
    it is no live producer key."""
    if credential is None:
        return None
    return directory.publisher(credential) or directory.load_publisher(credential)


def _answer(
    request: HttpRequest, at: Door, head: Head, request_id: str, headers: dict[str, str]
) -> Reply:
    if head.method == "OPTIONS":
        origins = admission.browser_origins() if at.asks_origins else frozenset()
        return at.preflight(head, origins, headers)
    publisher = publisher_of(at.credential(head))
    early: bytes | None = None
    if publisher is None and at.key_in_body:
        door.check_length(at, head)
        door.check_room()
        early = _read(request, at)
        publisher = publisher_of(at.credential_in(head, early))
    start_settling()
    visit = at.enter(head, publisher, request_id=request_id, headers=headers)
    try:
        body = _read(request, at) if early is None else early
        visit.ticket.hold(len(body))
        return _take(at, visit, body)
    finally:
        visit.ticket.close()


def _take(at: Door, visit: Visit, body: bytes) -> Reply:
    try:
        body = at.unpack(visit.encoding, body)
        runs = visit.runs(body, unbounded)
        envelopes = [envelope for run in runs for envelope in envelopes_of(run)]
    except BadRequestError as error:
        if not door.keeps_body(visit, error):
            raise
        submission = door.unparsable_item(visit, body, error)
        writer().submit(submission).result()
        raise door.name_dead_letter(error, submission.items[0]) from error
    return visit.reply(_accept(visit, envelopes))


def _accept(visit: Visit, envelopes: list[Envelope]) -> Batch:
    if visit.settles_names:
        unknown = directory.missing(visit.names_meant(envelopes))
        loaded = directory.load_streams(unknown) if unknown else {}
        visit.settle_names(envelopes, loaded, directory)
    batch = door.batch_of(visit, directory)
    batch.load_all(envelopes)
    for envelope in envelopes:
        batch.take(envelope)
    if batch.items:
        writer().submit(batch.submission()).result()
        batch.settle()
    return batch


def _read(request: HttpRequest, at: Door) -> bytes:
    try:
        body = request.read(at.most_bytes + 1)
    except (UnreadablePostError, RawPostDataException, OSError) as error:
        raise BadRequestError("The body cannot be read.", code="body") from error
    if len(body) > at.most_bytes:
        raise at.too_large()
    return bytes(body)
