"""REST of exchange with other tools: files in, documents out."""

import hashlib
from collections.abc import Mapping
from typing import Any, ClassVar, Final, TypedDict

from django.db.models import QuerySet
from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from catalog import naming
from catalog.api.uploads import ACCEPTS, PARSERS, texts_of
from catalog.exchange.uploads import FORMATS as READABLE
from catalog.exchange.uploads import read_texts
from catalog.models import Stream
from catalog.selectors import exports
from catalog.selectors.exchange import living_streams
from catalog.selectors.exports import Export
from catalog.selectors.parties import get_consumer, get_domain, get_producer
from catalog.selectors.streams import get_stream, visible_streams
from catalog.services.domains import require_registrar
from catalog.services.uploads import take_in
from governance.api.authentication import api_actor
from governance.api.base import ApiView
from governance.api.idempotency import idempotent
from portal.http import parameters
from portal.http.conditional import etag, names_etag
from portal.http.operations import operation
from portal.kernel.actor import Actor

_YAML: Final = frozenset({"application/yaml", "application/x-yaml", "text/yaml"})
_IMPORT: Final[dict[str, parameters.Reader]] = {
    "format": parameters.choice(READABLE),
    "domain": parameters.text(60),
    "dry_run": parameters.flag,
}
_EXPORT: Final[dict[str, parameters.Reader]] = {
    "format": parameters.choice(exports.FORMATS),
    "domain": parameters.text(60),
    "stream": parameters.any_of(),
    "producer": parameters.text(60),
    "consumer": parameters.text(60),
}


class RefusedBody(TypedDict):
    where: str
    why: str


class FieldChangeBody(TypedDict):
    name: str
    old: Any
    new: Any


class BreakingBody(TypedDict):
    path: str
    change: str
    detail: str
    remedy: str


class VersionPlanBody(TypedDict):
    version: int
    label: str
    step: str
    opens_group: bool
    breaking: list[BreakingBody]


class PlanEntryBody(TypedDict):
    kind: str
    name: str
    original: str
    where: str
    action: str
    changes: list[FieldChangeBody]
    versions: list[VersionPlanBody]
    notes: list[str]
    refused: str
    breaking: list[BreakingBody]


class ImportedBody(TypedDict):
    """What an import did or, with `applied` false, would do. Without `finished` the time was over:
    send the same again, what is taken is known at once."""

    applied: bool
    finished: bool
    summary: str
    streams_new: int
    streams_changed: int
    streams_known: int
    versions_new: int
    versions_known: int
    refused: list[RefusedBody]
    entries: list[PlanEntryBody]


class Import(ApiView):
    parser_classes = PARSERS

    @operation(
        "Take files of contracts in; a portal YAML is applied, all of it or nothing. With "
        "`dry_run` only the plan.",
        takes=_IMPORT,
        accepts=ACCEPTS,
        gives=ImportedBody,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        actor = api_actor(request)
        require_registrar(actor)
        domain = self.asked.get("domain", "imported")
        naming.check_stream_name(f"{domain}.event")
        found = read_texts(texts_of(request.data), said=self.asked.get("format", ""))
        taken = take_in(found, actor=actor, domain=domain, dry_run=self.asked.get("dry_run", False))
        return Response(taken.as_dict())


class ExportStreams(ApiView):
    @operation(
        "The streams that you may know of as a document: portal YAML, AsyncAPI 3 (JSON, or YAML by "
        "Accept), ODCS 3.1 (a document a stream) or JSON Schema (of one stream; else JSON lines).",
        takes=_EXPORT,
        media="application/yaml",
        refuses=(422,),
    )
    def get(self, request: Request) -> HttpResponse:
        actor, asked = api_actor(request), self.asked
        rows = _asked_streams(actor, asked)
        name = _name_of(asked)
        wanted = asked.get("format", "portal")
        if wanted == "asyncapi":
            found = exports.export_asyncapi(
                rows, title=_title(asked), name=name, as_yaml=_wants_yaml(request)
            )
        elif wanted == "odcs":
            found = exports.export_odcs(rows, name=name)
        elif wanted == "portal":
            found = exports.export_portal(actor, rows, name=name)
        elif len(asked.get("stream", ())) == 1:
            found = exports.export_schema(get_stream(actor, *asked["stream"]))
        else:
            found = exports.export_lines(rows, name=name)
        return _sent(request, found)


def _asked_streams(actor: Actor, asked: Mapping[str, Any]) -> QuerySet[Stream]:
    """The streams that parameters narrow to; NotFoundError for a name that is not known."""
    names = sorted(get_stream(actor, name).name for name in asked.get("stream", ()))
    return living_streams(
        actor,
        domain=get_domain(asked["domain"]).slug if "domain" in asked else "",
        producer=get_producer(asked["producer"]) if "producer" in asked else None,
        consumer=get_consumer(asked["consumer"]) if "consumer" in asked else None,
        names=names,
    )


def _name_of(asked: Mapping[str, Any]) -> str:
    streams = asked.get("stream", frozenset())
    if len(streams) == 1:
        return naming.file_name(*streams)
    return str(asked.get("domain") or asked.get("producer") or asked.get("consumer") or "streams")


def _title(asked: Mapping[str, Any]) -> str:
    name = _name_of(asked)
    return "Streams" if name == "streams" else name


class StreamAsyncApi(ApiView):
    @operation("A stream as an AsyncAPI 3 document; YAML by Accept.", media=exports.JSON)
    def get(self, request: Request, name: str) -> HttpResponse:
        stream = get_stream(api_actor(request), name)
        found = exports.export_asyncapi(
            _one(api_actor(request), stream),
            title=stream.title or stream.name,
            name=stream.name,
            as_yaml=_wants_yaml(request),
        )
        return _sent(request, found)


class StreamContract(ApiView):
    @operation("A stream as an ODCS 3.1 contract.", media=exports.YAML)
    def get(self, request: Request, name: str) -> HttpResponse:
        actor = api_actor(request)
        stream = get_stream(actor, name)
        return _sent(request, exports.export_odcs(_one(actor, stream), name=stream.name))


class DomainAsyncApi(ApiView):
    @operation("The streams of a domain as an AsyncAPI 3 document.", media=exports.JSON)
    def get(self, request: Request, slug: str) -> HttpResponse:
        domain = get_domain(slug)
        found = exports.export_asyncapi(
            living_streams(api_actor(request), domain=domain.slug),
            title=domain.name,
            name=domain.slug,
            as_yaml=_wants_yaml(request),
        )
        return _sent(request, found)


class ProducerAsyncApi(ApiView):
    @operation("What a producer sends as an AsyncAPI 3 document.", media=exports.JSON)
    def get(self, request: Request, name: str) -> HttpResponse:
        producer = get_producer(name)
        found = exports.export_asyncapi(
            living_streams(api_actor(request), producer=producer),
            title=producer.title or producer.name,
            name=producer.name,
            role="producer",
            party=producer.name,
            as_yaml=_wants_yaml(request),
        )
        return _sent(request, found)


class ConsumerAsyncApi(ApiView):
    @operation("What a consumer reads as an AsyncAPI 3 document.", media=exports.JSON)
    def get(self, request: Request, name: str) -> HttpResponse:
        consumer = get_consumer(name)
        found = exports.export_asyncapi(
            living_streams(api_actor(request), consumer=consumer),
            title=consumer.title or consumer.name,
            name=consumer.name,
            role="consumer",
            party=consumer.name,
            as_yaml=_wants_yaml(request),
        )
        return _sent(request, found)


def _one(actor: Actor, stream: Stream) -> QuerySet[Stream]:
    return visible_streams(actor).filter(pk=stream.pk)


def _wants_yaml(request: Request) -> bool:
    """Whether the first type that the caller names is YAML."""
    first = request.headers.get("Accept", "").split(",")[0].split(";")[0].strip().lower()
    return first in _YAML


def _sent(request: Request, found: Export) -> HttpResponse:
    """A document as a download, or 304 where the caller has it."""
    headers = {
        "ETag": etag(hashlib.sha256(found.content).hexdigest()[:32]),
        "Cache-Control": "private, no-cache",
        "Vary": "Accept",
        "Content-Disposition": f'attachment; filename="{found.file_name}"',
    }
    if names_etag(request.headers, headers["ETag"]):
        return HttpResponse(status=304, headers=headers)
    kind = found.media_type
    return HttpResponse(
        found.content,
        content_type=kind if kind == exports.JSON else f"{kind}; charset=utf-8",
        headers=headers,
    )
