"""Grants over REST: what holds, granting, ending, prolonging, going through many, and why."""

from typing import Any, Final

from rest_framework.request import Request
from rest_framework.response import Response

from governance import access
from governance.api import render
from governance.api.access import PATHS, RESOURCE, request_answer
from governance.api.authentication import api_actor
from governance.api.base import ApiView
from governance.api.idempotency import idempotent
from governance.explaining import unseen_fields, why_not
from governance.selectors import requests as selectors
from governance.selectors.grantees import find_holder
from governance.services import grants as services
from governance.services.requests import renew_grant
from governance.types import Permission, ResourceRef
from portal.http import bodies, parameters
from portal.http.bodies import Body
from portal.http.operations import listed, operation
from portal.http.parameters import DEFAULT_LIMIT
from portal.kernel.errors import BadRequestError, FieldError

_GRANTS: Final = bodies.texts(most=500, longest=60)
RENEWAL: Final = Body(required={"until": bodies.moment}, optional={"purpose": bodies.text(1000)})
RECERTIFICATION: Final = Body(optional={"keep": _GRANTS, "end": _GRANTS})
NEW_GRANT: Final = Body(
    required={
        "resource": RESOURCE,
        "permission": bodies.choice(tuple(Permission)),
        "holder": bodies.text(254),
        "purpose": bodies.text(1000),
        "until": bodies.moment,
    },
    optional={"fields": PATHS},
)


class Grants(ApiView):
    @operation(
        "Grants that hold, of your own and on what you decide, the soonest ending first.",
        takes=parameters.LIST,
        gives=listed(render.GrantBody),
    )
    def get(self, request: Request) -> Response:
        page = selectors.grants_page(
            api_actor(request),
            limit=self.asked.get("limit", DEFAULT_LIMIT),
            cursor=self.asked.get("cursor"),
        )
        return Response(page.as_dict(render.grant))

    @operation(
        "Grant a permission without a request: to a person (by address), a team (by slug), or to "
        "`consumer:NAME` or `producer:NAME`. A consumer may hold discover, read_payload and "
        "read_personal, a producer discover and publish.",
        body=NEW_GRANT,
        gives=render.GrantBody,
        status=201,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        body = self.said(request)
        row = services.grant_access(
            body["resource"],
            actor=api_actor(request),
            permission=Permission(body["permission"]),
            holder=find_holder(body["holder"]),
            purpose=body["purpose"],
            until=body["until"],
            fields=body.get("fields", ()),
        )
        place = {"Location": f"/api/v1/grants/{row.id}"}
        return Response(render.grant(row), status=201, headers=place)


class GrantDetail(ApiView):
    @operation("One grant, also when it has ended.", gives=render.GrantBody)
    def get(self, request: Request, grant_id: str) -> Response:
        return Response(render.grant(selectors.get_grant(api_actor(request), grant_id)))


class GrantRevoke(ApiView):
    @operation("End a grant at once.", body=bodies.EMPTY, gives=render.GrantBody)
    @idempotent
    def post(self, request: Request, grant_id: str) -> Response:
        self.said(request)
        return Response(render.grant(services.end_grant(grant_id, actor=api_actor(request))))


class GrantRenew(ApiView):
    @operation(
        "Ask to prolong a grant to read of your own, as it is. Its owner decides.",
        body=RENEWAL,
        gives=render.RequestBody,
        status=201,
    )
    @idempotent
    def post(self, request: Request, grant_id: str) -> Response:
        body = self.said(request)
        row = renew_grant(
            grant_id,
            actor=api_actor(request),
            until=body["until"],
            purpose=body.get("purpose", ""),
        )
        return request_answer(row, status=201)


class Recertification(ApiView):
    @operation(
        "Go through grants on what you decide: confirm those in `keep`, end those in `end`. All of "
        "it or nothing is done.",
        body=RECERTIFICATION,
        gives=render.RecertifiedBody,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        body = self.said(request)
        kept, ended = services.recertify(
            actor=api_actor(request), keep=body.get("keep", ()), end=body.get("end", ())
        )
        return Response({"confirmed": kept, "ended": ended})


class GrantExplain(ApiView):
    @operation(
        "Why you hold a permission on `resource`, spelled `stream:<name>`, or what you lack and who "
        "decides on it. `fields` are those that you see masked (`how`: masked) or not at all "
        "(left_out), the first 500, each with why.",
        takes={
            "resource": parameters.text(300),
            "permission": parameters.choice(tuple(Permission)),
        },
        gives=render.ExplainBody,
        refuses=(404,),
    )
    def get(self, request: Request) -> Response:
        actor = api_actor(request)
        if "resource" not in self.asked:
            raise BadRequestError(
                "Say of which thing.",
                code="parameter",
                errors=[FieldError("/resource", "missing", "such as stream:checkout.order_placed")],
            )
        kind, _, key = self.asked["resource"].partition(":")
        thing: Any = access.find_resource(ResourceRef(kind, key))
        access.require(actor, Permission.DISCOVER, thing)
        permission = Permission(self.asked.get("permission", Permission.READ_PAYLOAD))
        reasons = access.explain(actor, permission, thing)
        body: render.ExplainBody = {
            "permission": permission,
            "held": bool(reasons),
            "reasons": [render.reason(reason) for reason in reasons],
            "why_not": why_not(actor, permission, thing),
            "fields": [
                {"path": field.path, "how": field.how, "why": field.why}
                for field in unseen_fields(actor, thing)
            ],
            "request_at": access.ask_url(thing.ref),
        }
        return Response(body)
