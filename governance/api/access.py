"""Requests for access over REST."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from governance import programs
from governance.api import render
from governance.api.authentication import api_actor
from governance.api.base import ApiView
from governance.api.idempotency import idempotent
from governance.models import AccessRequest
from governance.models.access import RequestState
from governance.selectors import requests as selectors
from governance.services import requests as services
from governance.services.requests import Wanted
from governance.types import ResourceRef
from portal.http import bodies, parameters
from portal.http.bodies import Body
from portal.http.described import Described
from portal.http.operations import listed, operation
from portal.http.pagination import paginate


def resource_reader(value: Any) -> ResourceRef:
    """`{"kind": "stream", "key": "checkout.order_placed"}`."""
    if (
        not isinstance(value, dict)
        or set(value) != {"kind", "key"}
        or not all(isinstance(part, str) for part in value.values())
    ):
        raise TypeError("must be an object with kind and key")
    return ResourceRef(value["kind"], value["key"][:255])


RESOURCE: Final = Described(
    resource_reader,
    {
        "type": "object",
        "properties": {"kind": {"enum": ["stream", "domain"]}, "key": {"type": "string"}},
        "required": ["kind", "key"],
        "additionalProperties": False,
    },
)
PATHS: Final = bodies.texts(most=500, longest=500)
# What is to be read: which fields, whether personal ones as they are, and which of those.
_WANTED: Final = {"fields": PATHS, "personal": bodies.boolean, "clear": PATHS}
NEW_REQUEST: Final = Body(
    required={"resource": RESOURCE, "purpose": bodies.text(1000), "until": bodies.moment},
    optional={**_WANTED, "for": bodies.text(80)},
)
APPROVAL: Final = Body(optional={"reason": bodies.text(1000), "until": bodies.moment, **_WANTED})
DENIAL: Final = Body(required={"reason": bodies.text(1000)})


def _wanted(body: Mapping[str, Any]) -> Wanted:
    return Wanted(
        tuple(body.get("fields", ())), body.get("personal", False), tuple(body.get("clear", ()))
    )


def request_answer(row: AccessRequest, *, status: int = 200) -> Response:
    place = {"Location": f"/api/v1/access-requests/{row.pk}"} if status == 201 else {}
    return Response(render.access_request(row), status=status, headers=place)


class AccessRequests(ApiView):
    @operation(
        "Your own requests and those you may decide, the newest first.",
        takes={"state": parameters.choice(RequestState.values), **parameters.LIST},
        gives=listed(render.RequestBody),
    )
    def get(self, request: Request) -> Response:
        asked = self.asked
        rows = selectors.visible_requests(api_actor(request))
        if "state" in asked:
            rows = rows.filter(state=asked["state"])
        page = paginate(
            rows,
            order=("-created_at", "id"),
            limit=asked.get("limit"),
            cursor=asked.get("cursor"),
        )
        return Response(page.as_dict(render.access_request))

    @operation(
        "Ask to read a payload, for a purpose and until a day at most 90 days ahead. With `for`, as in "
        "`consumer:NAME` or `producer:NAME`, it is asked for a program of a team of yours: that a "
        "consumer may read, or that a producer may publish.",
        body=NEW_REQUEST,
        gives=render.RequestBody,
        status=201,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        body = self.said(request)
        row = services.ask_for_access(
            body["resource"],
            actor=api_actor(request),
            purpose=body["purpose"],
            until=body["until"],
            wanted=_wanted(body),
            holder=programs.get(body["for"], pointer="/for") if "for" in body else None,
        )
        return request_answer(row, status=201)


class AccessRequestDetail(ApiView):
    @operation("One request.", gives=render.RequestBody)
    def get(self, request: Request, request_id: UUID) -> Response:
        return request_answer(selectors.get_request(api_actor(request), request_id))


class Approve(ApiView):
    @operation(
        "Grant what was asked or, with any of `fields`, `personal` and `clear`, that part of it; at "
        "most as long.",
        body=APPROVAL,
        gives=render.RequestBody,
    )
    @idempotent
    def post(self, request: Request, request_id: UUID) -> Response:
        body = self.said(request)
        return request_answer(
            services.approve_request(
                request_id,
                actor=api_actor(request),
                reason=body.get("reason", ""),
                until=body.get("until"),
                part=_wanted(body) if body.keys() & _WANTED.keys() else None,
            )
        )


class Deny(ApiView):
    @operation("Decline; the one who asked reads why.", body=DENIAL, gives=render.RequestBody)
    @idempotent
    def post(self, request: Request, request_id: UUID) -> Response:
        reason = self.said(request)["reason"]
        return request_answer(
            services.deny_request(request_id, actor=api_actor(request), reason=reason)
        )


class Withdraw(ApiView):
    @operation("Take your own request back.", body=bodies.EMPTY, gives=render.RequestBody)
    @idempotent
    def post(self, request: Request, request_id: UUID) -> Response:
        self.said(request)
        return request_answer(services.withdraw_request(request_id, actor=api_actor(request)))
