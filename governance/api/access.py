"""REST of access: requests and grants."""

from typing import Any, ClassVar, Final
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from governance import access
from governance.api import render
from governance.api.authentication import api_actor
from governance.api.base import ApiView
from governance.api.idempotency import idempotent
from governance.models import AccessRequest, Team, User
from governance.models.access import RequestState
from governance.selectors import requests as selectors
from governance.services import requests as services
from governance.types import Permission, ResourceRef
from portal.http import bodies, parameters
from portal.http.bodies import Body
from portal.http.described import Described
from portal.http.operations import listed, operation
from portal.http.pagination import Page, decode_cursor, encode_cursor, paginate
from portal.http.parameters import DEFAULT_LIMIT
from portal.kernel import rfc3339
from portal.kernel.errors import BadRequestError, FieldError, InvalidError


def _resource(value: Any) -> ResourceRef:
    """`{"kind": "stream", "key": "checkout.order_placed"}`."""
    if (
        not isinstance(value, dict)
        or set(value) != {"kind", "key"}
        or not all(isinstance(part, str) for part in value.values())
    ):
        raise TypeError("must be an object with kind and key")
    return ResourceRef(value["kind"], value["key"][:255])


_RESOURCE: Final = Described(
    _resource,
    {
        "type": "object",
        "properties": {"kind": {"enum": ["stream", "domain"]}, "key": {"type": "string"}},
        "required": ["kind", "key"],
        "additionalProperties": False,
    },
)
NEW_REQUEST: Final = Body(
    required={"resource": _RESOURCE, "purpose": bodies.text(1000), "until": bodies.moment},
    optional={"personal": bodies.boolean},
)
APPROVAL: Final = Body(optional={"reason": bodies.text(1000), "until": bodies.moment})
DENIAL: Final = Body(required={"reason": bodies.text(1000)})
NEW_GRANT: Final = Body(
    required={
        "resource": _RESOURCE,
        "permission": bodies.choice(tuple(Permission)),
        "holder": bodies.text(254),
        "purpose": bodies.text(1000),
        "until": bodies.moment,
    }
)


def _answer(row: AccessRequest, *, status: int = 200) -> Response:
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
        "Ask to read a payload, for a purpose and until a day at most 90 days ahead.",
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
            wants_personal=body.get("personal", False),
        )
        return _answer(row, status=201)


class AccessRequestDetail(ApiView):
    @operation("One request.", gives=render.RequestBody)
    def get(self, request: Request, request_id: UUID) -> Response:
        return _answer(selectors.get_request(api_actor(request), request_id))


class Approve(ApiView):
    @operation("Grant what was asked, at most as long.", body=APPROVAL, gives=render.RequestBody)
    @idempotent
    def post(self, request: Request, request_id: UUID) -> Response:
        body = self.said(request)
        return _answer(
            services.approve_request(
                request_id,
                actor=api_actor(request),
                reason=body.get("reason", ""),
                until=body.get("until"),
            )
        )


class Deny(ApiView):
    @operation("Decline; the one who asked reads why.", body=DENIAL, gives=render.RequestBody)
    @idempotent
    def post(self, request: Request, request_id: UUID) -> Response:
        reason = self.said(request)["reason"]
        return _answer(services.deny_request(request_id, actor=api_actor(request), reason=reason))


class Withdraw(ApiView):
    @operation("Take your own request back.", body=bodies.EMPTY, gives=render.RequestBody)
    @idempotent
    def post(self, request: Request, request_id: UUID) -> Response:
        self.said(request)
        return _answer(services.withdraw_request(request_id, actor=api_actor(request)))


class Grants(ApiView):
    @operation(
        "Grants that hold, of your own and on what you decide, the soonest ending first.",
        takes=parameters.LIST,
        gives=listed(render.GrantBody),
    )
    def get(self, request: Request) -> Response:
        size = self.asked.get("limit", DEFAULT_LIMIT)
        after = None
        if "cursor" in self.asked:
            ends_at, last = decode_cursor(self.asked["cursor"], "grants")
            after = (rfc3339.parse(ends_at), last)
        rows = selectors.live_grants(api_actor(request), limit=size + 1, after=after)
        page = Page(rows[:size], None)
        if len(rows) > size:
            last = rows[size - 1]
            cursor = encode_cursor("grants", [rfc3339.spell(last.valid_until), last.id])
            page = Page(rows[:size], cursor)
        return Response(page.as_dict(render.grant))

    @operation(
        "Grant a permission to a person (by address) or a team (by slug), without a request.",
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
            holder=_holder(body["holder"]),
            purpose=body["purpose"],
            until=body["until"],
        )
        place = {"Location": f"/api/v1/grants/{row.id}"}
        return Response(render.grant(row), status=201, headers=place)


def _holder(name: str) -> User | Team:
    """A person by address, a team by slug."""
    found: User | Team | None = (
        User.objects.filter(email=name.lower(), is_active=True).first()
        if "@" in name
        else Team.objects.filter(slug=name).first()
    )
    if found is None:
        raise InvalidError(
            "The holder is not known.",
            errors=[FieldError("/holder", "unknown", "give a person's address or a team's slug")],
        )
    return found


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


class GrantExplain(ApiView):
    @operation(
        "Why you hold, or do not hold, a permission on `resource`, spelled `stream:<name>`.",
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
            "request_at": access.ask_url(thing.ref),
        }
        return Response(body)
