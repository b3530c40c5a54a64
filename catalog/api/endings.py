"""REST of a stream's end: deprecate, take back, retire."""

from typing import ClassVar, Final

from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import render
from catalog.api.streams import stream_answer
from catalog.models import Stream
from catalog.selectors.streams import get_stream
from catalog.services import endings as services
from governance.api.authentication import api_actor
from governance.api.base import ApiView
from governance.api.idempotency import idempotent
from portal.http import bodies
from portal.http.bodies import Body
from portal.http.operations import operation
from portal.kernel.actor import Actor
from portal.kernel.errors import FieldError, InvalidError, NotFoundError

DEPRECATION: Final = Body(
    required={"sunset_at": bodies.moment, "migration": bodies.text(services.MAX_NOTE, 1)},
    optional={"successor": bodies.nullable(bodies.text(255))},
)


class DeprecateStream(ApiView):
    @operation(
        "Say until when a stream is taken, how to move on, and what to use instead.",
        body=DEPRECATION,
        gives=render.StreamBody,
    )
    @idempotent
    def post(self, request: Request, name: str) -> Response:
        actor = api_actor(request)
        stream = get_stream(actor, name)
        body = self.said(request)
        found = services.deprecate_stream(
            stream,
            actor=actor,
            sunset_at=body["sunset_at"],
            migration=body["migration"],
            successor=_successor(actor, body.get("successor")),
        )
        return stream_answer(found, actor)


def _successor(actor: Actor, name: str | None) -> Stream | None:
    try:
        return get_stream(actor, name) if name is not None else None
    except NotFoundError as error:
        raise InvalidError(
            "The successor is not known.",
            errors=[FieldError("/successor", "unknown", "names no stream that you may know of")],
        ) from error


class ReactivateStream(ApiView):
    @operation(
        "Take a deprecation back, before its sunset.", body=bodies.EMPTY, gives=render.StreamBody
    )
    @idempotent
    def post(self, request: Request, name: str) -> Response:
        actor = api_actor(request)
        stream = get_stream(actor, name)
        self.said(request)
        return stream_answer(services.reactivate_stream(stream, actor=actor), actor)


class RetireStream(ApiView):
    @operation(
        "End a deprecated stream before its day, for good; its events are refused from now on.",
        body=bodies.EMPTY,
        gives=render.StreamBody,
    )
    @idempotent
    def post(self, request: Request, name: str) -> Response:
        actor = api_actor(request)
        stream = get_stream(actor, name)
        self.said(request)
        return stream_answer(services.retire_stream(stream, actor=actor), actor)
