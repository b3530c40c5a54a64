"""POST /v1/events without any framework: what the raw ASGI handler and the Django view share.

A door reads the head (`enter`), which decides everything that needs no body: method, parameters,
key, media types, quota, room. Then the body comes, is unpacked (`unpack`) and parsed
(`envelopes_of`), judged and stored (`ingest.pipeline`), and the outcome becomes a `Reply`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl

import orjson
from django.conf import settings
from django.http.request import split_domain_port, validate_host

from governance.keys import PATTERN as KEY_PATTERN
from governance.services.keys import credential_of
from ingest import pipeline
from ingest.admission import Directory, Publisher
from ingest.gate import Ticket, gate
from ingest.limits import quotas
from ingest.protocols import cloudevents
from ingest.protocols.cloudevents import Mode
from ingest.store import Item, Submission, writer
from ingest.types import Envelope
from portal.http.problem import MEDIA_TYPE as PROBLEM_TYPE
from portal.http.problem import MethodNotAllowedError, document
from portal.kernel import inflate
from portal.kernel.errors import (
    BadRequestError,
    FieldError,
    NotPermittedError,
    PortalError,
    TooLargeError,
    UnauthenticatedError,
)
from portal.kernel.identifiers import TRACEPARENT, uuid7

PATHS: Final = frozenset({"/v1/events", "/v1/events/"})
METHODS: Final = "POST, OPTIONS"
# These mean that the body as a whole can't be read; its bytes are kept as one dead letter.
UNPARSABLE_CODES: Final = frozenset(
    {"malformed_json", "duplicate_key", "too_deep", "shape", "malformed_encoding", "malformed_text"}
)
_HEADER_NAME: Final = re.compile(
    r"(?:ce-[a-z0-9-]{1,80}|authorization|content-type|"
    r"content-encoding|traceparent|tracestate|x-request-id)"
)
# Fields of which there is one: twice, each reader of the request may believe another.
_SINGLE: Final = frozenset({"host", "authorization", "content-type", "origin"})
_MAX_HOSTS: Final = 1000
_BOOLEANS: Final = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Head:
    """A request before its body. Header names are in lower case, values as sent (Latin-1).

    `headers` are all of them in order; of those with one name, `fields` holds the last.
    """

    method: str
    query: str
    headers: tuple[tuple[str, str], ...]
    fields: Mapping[str, str]

    def get(self, name: str) -> str:
        return self.fields.get(name, "")

    def list_of(self, name: str) -> str:
        """All values of a field that may be repeated, joined as one list."""
        return ", ".join(value for key, value in self.headers if key == name)


@dataclass(slots=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Visit:
    """What is known of a request once its head has been let in."""

    publisher: Publisher
    mode: Mode
    content_type: str
    encoding: str
    is_rehearsal: bool
    name_all: bool
    received_us: int
    request_id: str
    ticket: Ticket  # to be closed when the request is answered
    headers: dict[str, str] = field(default_factory=dict)
    ce_headers: tuple[tuple[str, str], ...] = ()


def base_headers(head: Head, request_id: str) -> dict[str, str]:
    """What every answer carries, refusals too."""
    headers = {
        "X-Request-Id": request_id,
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    trace = head.get("traceparent")
    if trace and TRACEPARENT.fullmatch(trace):
        headers["traceparent"] = trace
    return headers


def new_request_id() -> str:
    return str(uuid7())


_known_hosts: Final[dict[str, bool]] = {}


def check_head(head: Head) -> None:
    """Refuse a request that is not meant for this host or says one thing twice."""
    host = head.get("host")
    known = _known_hosts.get(host)
    if known is None:
        if len(_known_hosts) >= _MAX_HOSTS:
            _known_hosts.clear()
        domain, _ = split_domain_port(host)
        known = not host or validate_host(domain, settings.ALLOWED_HOSTS)
        _known_hosts[host] = known
    if not known:
        raise BadRequestError("The portal does not answer for this host.", code="host")
    if len(head.fields) != len(head.headers):
        names = [name for name, _ in head.headers if name in _SINGLE]
        if len(names) != len(set(names)):
            raise BadRequestError("A header that is sent once came twice.", code="header")


def credential(head: Head) -> str | None:
    """The presented credential, after what outranks it: the method and the parameters."""
    if head.method != "POST":
        raise MethodNotAllowedError("Send events with POST.", headers={"Allow": METHODS})
    _flags(head.query)
    return credential_of(head.get("authorization"))


def _flags(query: str) -> tuple[bool, bool]:
    """`dry_run` and `results` of the query; any other or repeated parameter is a 400."""
    if not query:
        return False, False
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=20, errors="strict")
    except (ValueError, UnicodeDecodeError) as error:
        raise BadRequestError("The parameters cannot be read.", code="parameter") from error
    if any(KEY_PATTERN.search(name) or KEY_PATTERN.search(value) for name, value in pairs):
        raise BadRequestError(
            "A key never goes into an address, where logs keep it: send it as a header, and "
            "revoke this one.",
            code="key_in_query",
        )
    values: dict[str, str] = {}
    for name, value in pairs:
        if name not in {"dry_run", "results"}:
            raise BadRequestError("There is a parameter that is not known.", code="parameter")
        if name in values:
            raise BadRequestError(f"Send {name} once.", code="parameter")
        values[name] = value
    dry_run = values.get("dry_run", "false")
    if dry_run not in _BOOLEANS:
        raise BadRequestError("dry_run is true or false.", code="parameter")
    if values.get("results", "all") != "all":
        raise BadRequestError("results is all, or absent.", code="parameter")
    return _BOOLEANS[dry_run], "results" in values


def enter(
    head: Head, publisher: Publisher | None, *, request_id: str, headers: dict[str, str]
) -> Visit:
    """Let a request in or raise; adds fields to `headers`, which the refusal carries too."""
    if publisher is None:
        raise UnauthenticatedError
    origin = head.get("origin")
    if origin and publisher.origins:
        if origin not in publisher.origins:
            raise NotPermittedError("This key may not be used from this origin.", code="origin")
        headers.update(_cors(origin))
    if not publisher.may_publish_anything:
        raise NotPermittedError(
            "This key may publish to no stream. Ask the owners of a stream to let its producer "
            "publish."
        )
    content_type = head.get("content-type")
    mode = cloudevents.choose_mode(content_type, head.fields)
    encoding = head.get("content-encoding")
    if encoding:
        encoding = inflate.check_encoding(head.list_of("content-encoding"))
    check_length(head.get("content-length"))
    is_rehearsal, name_all = _flags(head.query)
    headers.update(quotas.admit(publisher))
    ticket = gate.enter(
        publisher.key_id,
        head.get("content-length"),
        is_full=writer().is_full,
        is_packed=bool(encoding),
    )
    return Visit(
        publisher=publisher,
        mode=mode,
        content_type=content_type,
        encoding=encoding,
        is_rehearsal=is_rehearsal,
        name_all=name_all,
        received_us=pipeline.now_us(),
        request_id=request_id,
        ticket=ticket,
        headers=headers,
        ce_headers=head.headers if mode is Mode.BINARY else (),
    )


def check_length(content_length: str) -> None:
    if not content_length:
        return
    if not content_length.isascii() or not content_length.isdigit():
        raise BadRequestError("Content-Length is not a number.", code="content_length")
    if len(content_length) > 15 or int(content_length) > inflate.MAX_SENT_BYTES:
        raise too_large()


def too_large() -> TooLargeError:
    # The connection stays open, for the rest of the body to be read past: closed upon a client that
    # is still sending, it would take the answer with it.
    return TooLargeError("A body may have at most 5 MiB as sent.")


def unpack(visit: Visit, body: bytes) -> bytes:
    """The body without its Content-Encoding."""
    return inflate.inflate(body, visit.encoding) if visit.encoding else body


def envelopes_of(visit: Visit, body: bytes) -> Iterator[Envelope]:
    """The events of an unpacked body; raises, possibly half-way, when it can't be read as a whole."""
    if visit.mode is Mode.BATCH:
        return cloudevents.read_batch(body)
    if visit.mode is Mode.NDJSON:
        return cloudevents.read_lines(body)
    if visit.mode is Mode.STRUCTURED:
        return iter((cloudevents.read_structured(body),))
    return iter((cloudevents.read_binary(visit.ce_headers, visit.content_type, body),))


def batch_of(visit: Visit, directory: Directory) -> pipeline.Batch:
    return pipeline.Batch(
        visit.publisher, visit.received_us, directory, is_rehearsal=visit.is_rehearsal
    )


def keeps_body(visit: Visit, error: BadRequestError) -> bool:
    """Whether the bytes of an unreadable body are kept as a dead letter."""
    return error.code in UNPARSABLE_CODES and not visit.is_rehearsal


def unparsable_item(visit: Visit, body: bytes, error: BadRequestError) -> Submission:
    return pipeline.unparsable(
        visit.publisher,
        visit.received_us,
        body,
        visit.content_type,
        FieldError("", error.code, error.detail),
    )


def name_dead_letter(error: BadRequestError, item: Item) -> BadRequestError:
    error.extra["dead_letter"] = str(item.dead_letter)
    return error


def reply_to(visit: Visit, batch: pipeline.Batch) -> Reply:
    """The answer after the commit. A 422 is a problem document that carries the same fields.

    What the events name and is deprecated stands in `Deprecation`, `Sunset` and `Link`.
    """
    items = batch.items
    if batch.ending is not None:
        visit.headers.update(batch.ending.headers(settings.PUBLIC_URL))
    quotas.charge(visit.publisher, items, batch.streams.values())
    outcome = pipeline.answer(items, name_all=visit.name_all)
    status = pipeline.status_of(items)
    headers = visit.headers
    if status == 202:
        headers["Content-Type"] = "application/json"
        return Reply(202, headers, orjson.dumps(outcome))
    headers["Content-Type"] = PROBLEM_TYPE
    problem = {
        "type": "/problems/all_dead_lettered",
        "title": "Every event was refused",
        "status": 422,
        "code": "all_dead_lettered",
        "detail": "Every event was refused and kept as a dead letter; `results` says why.",
        "instance": visit.request_id,
        "errors": [],
        **outcome,
    }
    return Reply(422, headers, orjson.dumps(problem))


def reply_error(error: PortalError, *, request_id: str, headers: dict[str, str]) -> Reply:
    merged = {**headers, **error.headers, "Content-Type": PROBLEM_TYPE}
    return Reply(error.status, merged, orjson.dumps(document(error, request_id=request_id)))


def _cors(origin: str) -> dict[str, str]:
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": (
            "X-Request-Id, Retry-After, RateLimit, RateLimit-Policy, traceparent, Deprecation, "
            "Sunset, Link"
        ),
        "Vary": "Origin",
    }


def preflight(head: Head, origins: frozenset[str], headers: dict[str, str]) -> Reply:
    """Answer OPTIONS: browsers of an origin that some browser-safe key allows may POST."""
    headers["Allow"] = METHODS
    headers["Vary"] = "Origin"
    origin = head.get("origin")
    if origin and origin in origins:
        asked = [name.strip() for name in head.get("access-control-request-headers").split(",")]
        allowed = [name for name in asked if _HEADER_NAME.fullmatch(name.lower())]
        headers.update(_cors(origin))
        headers["Access-Control-Allow-Methods"] = "POST"
        headers["Access-Control-Allow-Headers"] = ", ".join(allowed or ["authorization"])
        headers["Access-Control-Max-Age"] = "600"
    return Reply(204, headers, b"")
