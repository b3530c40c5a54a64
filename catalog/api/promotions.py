"""REST of moving a stream between the tracks: what it asks for, ask, approve, decline, take back."""

from typing import Final

from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import render_promotions as render
from catalog.models import Promotion
from catalog.selectors import promotions as selectors
from catalog.selectors.streams import get_stream
from catalog.services import promotions as services
from catalog.tracks import other
from catalog.types import Track
from governance.api.authentication import api_actor
from governance.api.base import ApiView
from governance.api.idempotency import idempotent
from portal.http import bodies
from portal.http.bodies import Body
from portal.http.conditional import etag
from portal.http.operations import operation

_TEXT: Final = bodies.text(services.MAX_TEXT)
REQUEST: Final = Body(optional={"to": bodies.choice(Track.values), "reason": _TEXT})
APPROVAL: Final = Body(required={"request": bodies.uuid}, optional={"comment": _TEXT})
REFUSAL: Final = Body(required={"request": bodies.uuid, "reason": _TEXT})
WITHDRAWAL: Final = Body(required={"request": bodies.uuid})


class PromoteStream(ApiView):
    @operation(
        "On which track a stream is, what a move to the other one asks for, and requests for one.",
        gives=render.MoveBody,
    )
    def get(self, request: Request, name: str) -> Response:
        stream = get_stream(api_actor(request), name)
        return Response(render.move(stream), headers={"ETag": etag(stream.revision)})

    @operation(
        "Ask to move a stream to production, or back; others approve, and the last moves it.",
        body=REQUEST,
        gives=render.PromotionBody,
        status=201,
    )
    @idempotent
    def post(self, request: Request, name: str) -> Response:
        actor = api_actor(request)
        stream = get_stream(actor, name)
        body = self.said(request)
        asked = services.ask_to_move(
            stream,
            Track(body.get("to", other(stream.track))),
            actor=actor,
            reason=body.get("reason", ""),
        )
        at = f"/api/v1/streams/{stream.name}/promote"
        return _answer(asked, status=201, headers={"Location": at})


class ApprovePromotion(ApiView):
    @operation(
        "Approve of the request that you looked at; with the last approval the stream is moved.",
        body=APPROVAL,
        gives=render.PromotionBody,
    )
    @idempotent
    def post(self, request: Request, name: str) -> Response:
        actor = api_actor(request)
        stream = get_stream(actor, name)
        body = self.said(request)
        found = selectors.get_promotion(stream, body["request"])
        comment = body.get("comment", "")
        return _answer(services.approve_move(found, actor=actor, comment=comment))


class RejectPromotion(ApiView):
    @operation(
        "Decline the request that you looked at, with a reason.",
        body=REFUSAL,
        gives=render.PromotionBody,
    )
    @idempotent
    def post(self, request: Request, name: str) -> Response:
        actor = api_actor(request)
        stream = get_stream(actor, name)
        body = self.said(request)
        found = selectors.get_promotion(stream, body["request"])
        return _answer(services.reject_move(found, actor=actor, reason=body["reason"]))


class WithdrawPromotion(ApiView):
    @operation(
        "Take your own request back, while it is open.",
        body=WITHDRAWAL,
        gives=render.PromotionBody,
    )
    @idempotent
    def post(self, request: Request, name: str) -> Response:
        actor = api_actor(request)
        stream = get_stream(actor, name)
        found = selectors.get_promotion(stream, self.said(request)["request"])
        return _answer(services.withdraw_move(found, actor=actor))


def _answer(
    row: Promotion, *, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    approvals = selectors.approvals_of(row)
    return Response(render.promotion(row, approvals), status=status, headers=headers)
