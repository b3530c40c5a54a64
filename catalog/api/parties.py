"""REST of domains, teams, producers, consumers, tags, fields, search and me."""

from collections.abc import Callable
from typing import Any, ClassVar

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from catalog.api import render
from catalog.api.streams import find_team, question_of
from catalog.models import Domain, Stream, Tag
from catalog.selectors import parties, search
from catalog.selectors.streams import get_stream
from catalog.services import consumers as consumer_services
from catalog.services import domains as domain_services
from catalog.services import producers as producer_services
from governance.api.authentication import api_actor
from governance.api.idempotency import idempotent
from governance.models import Team
from governance.services.teams import create_team
from portal.http import bodies, parameters
from portal.http.conditional import etag
from portal.http.pagination import paginate
from portal.kernel.actor import Actor
from portal.kernel.errors import NotFoundError


def _page(
    request: Request, rows: Any, order: tuple[str, ...], shape: Callable[[Any], object]
) -> Response:
    asked = parameters.read(request.query_params, parameters.LIST)
    page = paginate(rows, order=order, limit=asked.get("limit"), cursor=asked.get("cursor"))
    return Response(page.as_dict(shape))


def _streams(actor: Actor, names: list[str]) -> list[Stream]:
    return [get_stream(actor, name) for name in names]


class Domains(APIView):
    policy: ClassVar = {"GET": "signed_in", "POST": "stream.register"}

    def get(self, request: Request) -> Response:
        return _page(request, Domain.objects.select_related("owner_team"), ("slug",), render.domain)

    @idempotent
    def post(self, request: Request) -> Response:
        body = bodies.read(
            request.data,
            required={"slug": bodies.text(60)},
            optional={
                "name": bodies.text(120),
                "description": bodies.text(4000),
                "owner": bodies.text(60),
            },
        )
        row = domain_services.create_domain(
            body["slug"],
            actor=api_actor(request),
            name=body.get("name", ""),
            description=body.get("description", ""),
            owner_team=find_team(body["owner"]) if body.get("owner") else None,
        )
        return Response(render.domain(row), status=201)


class DomainDetail(APIView):
    policy: ClassVar = {"GET": "signed_in"}

    def get(self, request: Request, slug: str) -> Response:
        row = Domain.objects.select_related("owner_team").filter(slug=slug).first()
        if row is None:
            raise NotFoundError
        return Response(render.domain(row))


class Teams(APIView):
    policy: ClassVar = {"GET": "signed_in", "POST": "team.manage"}

    def get(self, request: Request) -> Response:
        return _page(request, Team.objects.all(), ("slug",), render.team)

    @idempotent
    def post(self, request: Request) -> Response:
        body = bodies.read(
            request.data,
            required={"slug": bodies.text(60), "name": bodies.text(120)},
            optional={"description": bodies.text(4000)},
        )
        row = create_team(
            body["slug"],
            actor=api_actor(request),
            name=body["name"],
            description=body.get("description", ""),
        )
        return Response(render.team(row), status=201)


class Producers(APIView):
    policy: ClassVar = {"GET": "signed_in", "POST": "producer.manage"}

    def get(self, request: Request) -> Response:
        return _page(request, parties.producers(), ("name",), render.producer)

    @idempotent
    def post(self, request: Request) -> Response:
        actor = api_actor(request)
        body = bodies.read(
            request.data,
            required={"name": bodies.text(60)},
            optional={
                "title": bodies.text(120),
                "description": bodies.text(4000),
                "team": bodies.text(60),
                "default_domain": bodies.text(60),
                "streams": bodies.texts(producer_services.MAX_STREAMS, 255),
                "globs": bodies.texts(50, 200),
                "sources": bodies.texts(100, 500),
            },
        )
        row = producer_services.create_producer(
            body["name"],
            actor=actor,
            title=body.get("title", ""),
            description=body.get("description", ""),
            team=find_team(body["team"], "/team") if body.get("team") else None,
            default_domain=body.get("default_domain", ""),
            streams=_streams(actor, body.get("streams", [])),
            globs=body.get("globs", []),
            sources=body.get("sources", []),
        )
        return Response(render.producer(row), status=201, headers={"ETag": etag(row.revision)})


class ProducerDetail(APIView):
    policy: ClassVar = {"GET": "signed_in"}

    def get(self, request: Request, name: str) -> Response:
        row = parties.get_producer(name)
        return Response(render.producer(row), headers={"ETag": etag(row.revision)})


class ProducerKeys(APIView):
    policy: ClassVar = {"GET": "producer.manage", "POST": "producer.manage"}

    def get(self, request: Request, name: str) -> Response:
        row = parties.get_producer(name)
        producer_services.require_team(row.team_id, api_actor(request))
        return _page(request, parties.keys_of("prod", row.pk), ("-created_at", "id"), render.key)

    @idempotent
    def post(self, request: Request, name: str) -> Response:
        body = bodies.read(
            request.data or {},
            optional={
                "name": bodies.text(120),
                "streams": bodies.text(200),
                "expires_at": bodies.moment,
            },
        )
        row, text = producer_services.create_producer_key(
            parties.get_producer(name),
            actor=api_actor(request),
            name=body.get("name", ""),
            streams_glob=body.get("streams", "*"),
            expires_at=body.get("expires_at"),
        )
        return Response(render.key(row, text), status=201)


class Consumers(APIView):
    policy: ClassVar = {"GET": "signed_in", "POST": "consumer.manage"}

    def get(self, request: Request) -> Response:
        return _page(request, parties.consumers(), ("name",), render.consumer)

    @idempotent
    def post(self, request: Request) -> Response:
        body = bodies.read(
            request.data,
            required={"name": bodies.text(60)},
            optional={
                "title": bodies.text(120),
                "description": bodies.text(4000),
                "kind": bodies.text(20),
                "team": bodies.text(60),
            },
        )
        row = consumer_services.create_consumer(
            body["name"],
            actor=api_actor(request),
            title=body.get("title", ""),
            description=body.get("description", ""),
            kind=body.get("kind", "service"),
            team=find_team(body["team"], "/team") if body.get("team") else None,
        )
        return Response(render.consumer(row), status=201, headers={"ETag": etag(row.revision)})


class ConsumerDetail(APIView):
    policy: ClassVar = {"GET": "signed_in"}

    def get(self, request: Request, name: str) -> Response:
        row = parties.get_consumer(name)
        mappings = parties.mappings_of(api_actor(request), row)[:500]
        return Response(
            render.consumer(row) | {"mappings": [render.mapping(item) for item in mappings]},
            headers={"ETag": etag(row.revision)},
        )


class ConsumerMappings(APIView):
    policy: ClassVar = {"POST": "consumer.manage"}

    @idempotent
    def post(self, request: Request, name: str) -> Response:
        actor = api_actor(request)
        body = bodies.read(
            request.data,
            required={"stream": bodies.text(255)},
            optional={
                "fields": bodies.texts(consumer_services.MAX_FIELDS, 500),
                "version": bodies.nullable(bodies.integer(1, 1_000_000)),
                "purpose": bodies.text(1000),
            },
        )
        row = consumer_services.map_consumer(
            parties.get_consumer(name),
            get_stream(actor, body["stream"]),
            actor=actor,
            fields=body.get("fields", []),
            version=body.get("version"),
            purpose=body.get("purpose", ""),
        )
        return Response(render.mapping(row), status=201)


class ConsumerKeys(APIView):
    policy: ClassVar = {"GET": "consumer.manage", "POST": "consumer.manage"}

    def get(self, request: Request, name: str) -> Response:
        row = parties.get_consumer(name)
        producer_services.require_team(row.team_id, api_actor(request))
        return _page(request, parties.keys_of("cons", row.pk), ("-created_at", "id"), render.key)

    @idempotent
    def post(self, request: Request, name: str) -> Response:
        body = bodies.read(request.data or {}, optional={"name": bodies.text(120)})
        row, text = consumer_services.create_consumer_key(
            parties.get_consumer(name), actor=api_actor(request), name=body.get("name", "")
        )
        return Response(render.key(row, text), status=201)


class Tags(APIView):
    policy: ClassVar = {"GET": "signed_in"}

    def get(self, request: Request) -> Response:
        return _page(
            request,
            Tag.objects.all(),
            ("slug",),
            lambda row: {"slug": row.slug, "description": row.description},
        )


class Fields(APIView):
    """Field names over all streams, most used first."""

    policy: ClassVar = {"GET": "stream.discover"}

    def get(self, request: Request) -> Response:
        asked = parameters.read(
            request.query_params,
            {"q": parameters.text(200), "limit": parameters.LIST["limit"]},
        )
        rows = search.find_fields(api_actor(request), asked.get("q", ""))
        found = rows.order_by("rank", "-streams", "name")[: asked.get("limit", 50)]
        items = [
            {"name": row["name"], "types": row["types"], "streams": row["streams"]} for row in found
        ]
        return Response({"items": items, "next": None})


class Search(APIView):
    """The finder over the API: the best streams and fields for a text."""

    policy: ClassVar = {"GET": "stream.discover"}

    def get(self, request: Request) -> Response:
        asked = parameters.read(
            request.query_params, {"q": parameters.text(200), "limit": parameters.integer(1, 50)}
        )
        actor, limit = api_actor(request), asked.get("limit", 10)
        found = search.find_streams(actor, question_of(asked), with_facets=False)
        fields = search.find_fields(actor, asked.get("q", "")).order_by("rank", "-streams", "name")
        return Response(
            {
                "streams": [
                    render.stream(row)
                    for row in found.rows.order_by(*search.ORDERINGS["relevance"])[:limit]
                ],
                "fields": [
                    {"name": row["name"], "types": row["types"], "streams": row["streams"]}
                    for row in fields[:limit]
                ],
                "read_as": found.corrected or None,
            }
        )


class Me(APIView):
    """Who is calling, and what they may do in general."""

    policy: ClassVar = {"GET": "signed_in"}

    def get(self, request: Request) -> Response:
        actor = api_actor(request)
        teams = Team.objects.filter(pk__in=actor.team_ids).order_by("slug")
        return Response(
            {
                "kind": actor.kind,
                "id": actor.id,
                "name": actor.label,
                "roles": sorted(actor.roles),
                "teams": [team.slug for team in teams],
                "scopes": sorted(actor.scopes),
            }
        )
