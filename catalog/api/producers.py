"""REST of producers and their keys."""

from typing import ClassVar, Final

from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import render
from catalog.api.common import DESCRIPTION, KEY_ORDER, NAME, OWNER, SLUG, made, page_of
from catalog.api.references import find_streams, find_team
from catalog.models import Producer
from catalog.selectors import parties
from catalog.services import producers as producer_services
from governance.api.authentication import api_actor
from governance.api.base import ApiView
from governance.api.idempotency import idempotent
from portal.http import bodies, parameters
from portal.http.bodies import Body
from portal.http.conditional import etag, require_match
from portal.http.operations import listed, operation
from portal.kernel.actor import Actor

_PRODUCER: Final[dict[str, bodies.Reader]] = {
    "title": NAME,
    "description": DESCRIPTION,
    "team": OWNER,
    "default_domain": SLUG,
    "streams": bodies.texts(producer_services.MAX_STREAMS, 255),
    "globs": bodies.texts(50, 200),
    "sources": bodies.texts(100, 500),
}
NEW_PRODUCER: Final = Body(required={"name": SLUG}, optional=_PRODUCER)
PRODUCER_CHANGES: Final = Body(optional=_PRODUCER)
NEW_PRODUCER_KEY: Final = Body(
    optional={
        "name": NAME,
        "streams": bodies.text(200, 1),
        "expires_at": bodies.moment,
        "browser_origins": bodies.texts(20, 253),
    }
)


def _producer_whole(actor: Actor, row: Producer) -> render.ProducerDetailBody:
    """A producer with what it may publish to, of what the actor may know of."""
    return {
        **render.producer(row),
        "streams": parties.streams_of_producer(actor, row),
        "globs": sorted(row.permitted.exclude(glob="").values_list("glob", flat=True)),
        "sources": sorted(row.sources.filter(declared=True).values_list("source", flat=True)),
    }


class Producers(ApiView):
    @operation("Who sends.", takes=parameters.LIST, gives=listed(render.ProducerBody))
    def get(self, request: Request) -> Response:
        return page_of(self.asked, parties.producers(), ("name",), render.producer)

    @operation("Make a producer.", body=NEW_PRODUCER, gives=render.ProducerDetailBody, status=201)
    @idempotent
    def post(self, request: Request) -> Response:
        actor, body = api_actor(request), self.said(request)
        row = producer_services.create_producer(
            body["name"],
            actor=actor,
            title=body.get("title", ""),
            description=body.get("description", ""),
            team=find_team(body.get("team"), "/team"),
            default_domain=body.get("default_domain", ""),
            streams=find_streams(actor, body.get("streams", [])),
            globs=body.get("globs", []),
            sources=body.get("sources", []),
        )
        whole = _producer_whole(actor, row)
        return made(whole, etag(row.revision), f"producers/{row.name}")


class ProducerDetail(ApiView):
    @operation("One producer.", gives=render.ProducerDetailBody)
    def get(self, request: Request, name: str) -> Response:
        row = parties.get_producer(name)
        whole = _producer_whole(api_actor(request), row)
        return Response(whole, headers={"ETag": etag(row.revision)})

    @operation(
        "Change a producer; lists are replaced, streams as far as you may know of them.",
        body=PRODUCER_CHANGES,
        gives=render.ProducerDetailBody,
    )
    def patch(self, request: Request, name: str) -> Response:
        actor, row = api_actor(request), parties.get_producer(name)
        require_match(request.headers, etag(row.revision))
        changes = self.said(request)
        if "team" in changes:
            changes["team"] = find_team(changes["team"], "/team")
        if "streams" in changes:
            changes["streams"] = find_streams(actor, changes["streams"])
        row = producer_services.change_producer(row, changes, actor=actor, revision=row.revision)
        whole = _producer_whole(actor, row)
        return Response(whole, headers={"ETag": etag(row.revision)})


class ProducerKeys(ApiView):
    sudo: ClassVar = {"POST"}

    @operation("The live keys of a producer.", takes=parameters.LIST, gives=listed(render.KeyBody))
    def get(self, request: Request, name: str) -> Response:
        row = parties.get_producer(name)
        producer_services.require_team(row.team_id, api_actor(request))
        return page_of(self.asked, parties.keys_of("prod", row.pk), KEY_ORDER, render.key)

    @operation(
        "Make a key; its text is in this answer and nowhere else.",
        body=NEW_PRODUCER_KEY,
        gives=render.NewKeyBody,
        status=201,
    )
    @idempotent
    def post(self, request: Request, name: str) -> Response:
        producer, body = parties.get_producer(name), self.said(request)
        row, text = producer_services.create_producer_key(
            producer,
            actor=api_actor(request),
            name=body.get("name", ""),
            streams_glob=body.get("streams", "*"),
            expires_at=body.get("expires_at"),
            browser_origins=body.get("browser_origins", ()),
        )
        return made(render.new_key(row, text), etag(row.pk), f"keys/{row.pk}")
