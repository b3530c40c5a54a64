"""REST of break-glass access."""

from typing import ClassVar, Final, TypedDict
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from governance.api.authentication import api_actor
from governance.api.base import ApiView
from governance.api.idempotency import idempotent
from governance.api.render import ResourceBody
from governance.models import BreakGlass
from governance.selectors import break_glass as selectors
from governance.services import break_glass as services
from governance.types import BreakGlassVerdict, ResourceRef
from portal.http import bodies, parameters
from portal.http.bodies import Body
from portal.http.operations import Time, listed, operation
from portal.http.pagination import paginate

TAKING: Final = Body(
    required={"stream": bodies.text(120, 1), "reason": bodies.text(1000)},
)
REVIEW: Final = Body(
    required={
        "verdict": bodies.choice(tuple(BreakGlassVerdict.values)),
        "sentence": bodies.text(1000),
    }
)


class BreakGlassBody(TypedDict):
    id: UUID
    resource: ResourceBody
    person: str
    reason: str
    taken_at: Time
    ends_at: Time
    ended_at: Time | None
    verdict: str | None
    review: str
    reviewed_at: Time | None
    reviewed_by: str | None


def body_of(row: BreakGlass) -> BreakGlassBody:
    """One taking as the API gives it."""
    return {
        "id": row.pk,
        "resource": {"kind": row.resource_kind, "key": row.resource_key},
        "person": row.user.email,
        "reason": row.reason,
        "taken_at": row.taken_at,
        "ends_at": row.ends_at,
        "ended_at": row.ended_at,
        "verdict": row.verdict or None,
        "review": row.review,
        "reviewed_at": row.reviewed_at,
        "reviewed_by": row.reviewed_by.email if row.reviewed_by else None,
    }


class BreakGlasses(ApiView):
    sudo: ClassVar = {"POST"}

    @operation(
        "What you took, and what was taken of your teams' streams; all for admins. The newest first.",
        takes={"waiting": parameters.flag, **parameters.LIST},
        gives=listed(BreakGlassBody),
    )
    def get(self, request: Request) -> Response:
        rows = selectors.visible_glasses(api_actor(request))
        if self.asked.get("waiting"):
            rows = rows.filter(verdict="")
        page = paginate(
            rows,
            order=("-taken_at", "id"),
            limit=self.asked.get("limit"),
            cursor=self.asked.get("cursor"),
        )
        return Response(page.as_dict(body_of))

    @operation(
        "Read a stream in clear for an hour, without approval; its owners and all admins are told.",
        body=TAKING,
        gives=BreakGlassBody,
        status=201,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        body = self.said(request)
        row = services.break_glass(
            ResourceRef("stream", body["stream"]), actor=api_actor(request), reason=body["reason"]
        )
        return Response(
            body_of(row), status=201, headers={"Location": f"/api/v1/break-glass/{row.pk}"}
        )


class BreakGlassDetail(ApiView):
    @operation("One taking.", gives=BreakGlassBody)
    def get(self, request: Request, glass_id: UUID) -> Response:
        return Response(body_of(selectors.get_glass(api_actor(request), glass_id)))


class GiveBack(ApiView):
    @operation("End it before its hour.", body=bodies.EMPTY, gives=BreakGlassBody)
    @idempotent
    def post(self, request: Request, glass_id: UUID) -> Response:
        self.said(request)
        return Response(body_of(services.give_back(glass_id, actor=api_actor(request))))


class Review(ApiView):
    @operation(
        "Say in a sentence whether it was right; an objection ends what still holds.",
        body=REVIEW,
        gives=BreakGlassBody,
    )
    @idempotent
    def post(self, request: Request, glass_id: UUID) -> Response:
        body = self.said(request)
        row = services.review_glass(
            glass_id,
            actor=api_actor(request),
            verdict=BreakGlassVerdict(body["verdict"]),
            sentence=body["sentence"],
        )
        return Response(body_of(row))
