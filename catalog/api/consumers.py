"""REST of consumers, what they read and their keys."""

from typing import ClassVar, Final

from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import render
from catalog.api.common import DESCRIPTION, KEY_ORDER, NAME, OWNER, SLUG, made, page_of
from catalog.api.observed import ReaderBody, reader
from catalog.api.references import find_team
from catalog.models import Consumer
from catalog.selectors import parties
from catalog.selectors.observed import readings_of
from catalog.selectors.streams import get_stream
from catalog.services import consumers as consumer_services
from catalog.services import producers as producer_services
from governance.api.authentication import api_actor
from governance.api.base import ApiView
from governance.api.idempotency import idempotent
from portal.http import bodies, parameters
from portal.http.bodies import Body
from portal.http.conditional import etag, require_match
from portal.http.operations import listed, operation
from portal.kernel.actor import Actor

_CONSUMER: Final[dict[str, bodies.Reader]] = {
    "title": NAME,
    "description": DESCRIPTION,
    "kind": bodies.choice(consumer_services.KINDS),
    "team": OWNER,
}
NEW_CONSUMER: Final = Body(required={"name": SLUG}, optional=_CONSUMER)
CONSUMER_CHANGES: Final = Body(optional=_CONSUMER)
NEW_MAPPING: Final = Body(
    required={"stream": bodies.text(255)},
    optional={
        "fields": bodies.texts(consumer_services.MAX_FIELDS, 500),
        "version": bodies.nullable(bodies.integer(1, 1_000_000)),
        "purpose": bodies.text(1000),
    },
)
NEW_CONSUMER_KEY: Final = Body(optional={"name": NAME})


class ConsumerDetailBody(render.ConsumerBody):
    """`reads`: of each stream that it declared or was seen to read, both side by side."""

    mappings: list[render.MappingBody]
    reads: list[ReaderBody]


def _consumer_whole(actor: Actor, row: Consumer) -> ConsumerDetailBody:
    """A consumer with the first 500 streams it reads, of those the actor may know of."""
    mappings = parties.mappings_of(actor, row)[:500]
    return {
        **render.consumer(row),
        "mappings": [render.mapping(item) for item in mappings],
        "reads": [reader(item) for item in readings_of(actor, row, limit=500)],
    }


class Consumers(ApiView):
    @operation("Who reads.", takes=parameters.LIST, gives=listed(render.ConsumerBody))
    def get(self, request: Request) -> Response:
        return page_of(self.asked, parties.consumers(), ("name",), render.consumer)

    @operation("Make a consumer.", body=NEW_CONSUMER, gives=ConsumerDetailBody, status=201)
    @idempotent
    def post(self, request: Request) -> Response:
        actor, body = api_actor(request), self.said(request)
        row = consumer_services.create_consumer(
            body["name"],
            actor=actor,
            title=body.get("title", ""),
            description=body.get("description", ""),
            kind=body.get("kind", "service"),
            team=find_team(body.get("team"), "/team"),
        )
        whole = _consumer_whole(actor, row)
        return made(whole, etag(row.revision), f"consumers/{row.name}")


class ConsumerDetail(ApiView):
    @operation("One consumer and what it reads.", gives=ConsumerDetailBody)
    def get(self, request: Request, name: str) -> Response:
        row = parties.get_consumer(name)
        whole = _consumer_whole(api_actor(request), row)
        return Response(whole, headers={"ETag": etag(row.revision)})

    @operation("Change a consumer.", body=CONSUMER_CHANGES, gives=ConsumerDetailBody)
    def patch(self, request: Request, name: str) -> Response:
        actor, row = api_actor(request), parties.get_consumer(name)
        require_match(request.headers, etag(row.revision))
        changes = self.said(request)
        if "team" in changes:
            changes["team"] = find_team(changes["team"], "/team")
        row = consumer_services.change_consumer(row, changes, actor=actor, revision=row.revision)
        whole = _consumer_whole(actor, row)
        return Response(whole, headers={"ETag": etag(row.revision)})


class ConsumerMappings(ApiView):
    @operation(
        "The streams and fields a consumer reads.",
        takes=parameters.LIST,
        gives=listed(render.MappingBody),
    )
    def get(self, request: Request, name: str) -> Response:
        rows = parties.mappings_of(api_actor(request), parties.get_consumer(name))
        return page_of(self.asked, rows.select_related("consumer"), ("since", "id"), render.mapping)

    @operation(
        "Declare that a consumer reads a stream; again replaces what was declared.",
        body=NEW_MAPPING,
        gives=render.MappingBody,
        status=201,
    )
    @idempotent
    def post(self, request: Request, name: str) -> Response:
        actor, consumer, body = api_actor(request), parties.get_consumer(name), self.said(request)
        row = consumer_services.map_consumer(
            consumer,
            get_stream(actor, body["stream"]),
            actor=actor,
            fields=body.get("fields", []),
            version=body.get("version"),
            purpose=body.get("purpose", ""),
        )
        return Response(render.mapping(row), status=201)


class ConsumerKeys(ApiView):
    sudo: ClassVar = {"POST"}

    @operation("The live keys of a consumer.", takes=parameters.LIST, gives=listed(render.KeyBody))
    def get(self, request: Request, name: str) -> Response:
        row = parties.get_consumer(name)
        producer_services.require_team(
            row.team_id, api_actor(request), permission="consumer.manage"
        )
        return page_of(self.asked, parties.keys_of("cons", row.pk), KEY_ORDER, render.key)

    @operation(
        "Make a key; its text is in this answer and nowhere else.",
        body=NEW_CONSUMER_KEY,
        gives=render.NewKeyBody,
        status=201,
    )
    @idempotent
    def post(self, request: Request, name: str) -> Response:
        consumer, body = parties.get_consumer(name), self.said(request)
        row, text = consumer_services.create_consumer_key(
            consumer, actor=api_actor(request), name=body.get("name", "")
        )
        return made(render.new_key(row, text), etag(row.pk), f"keys/{row.pk}")
