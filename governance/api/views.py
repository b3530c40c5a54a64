"""REST of access, grants and audit: parse, call, render."""

from typing import Any, ClassVar
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance import access
from governance.api.authentication import api_actor
from governance.api.idempotency import idempotent
from governance.models import AccessRequest, Team, User
from governance.selectors import audit_log
from governance.selectors import requests as selectors
from governance.selectors.requests import GrantRow
from governance.services import requests as services
from governance.services.verification import verify_chain
from governance.types import Permission, ResourceRef
from portal.http import bodies, parameters
from portal.http.pagination import paginate
from portal.kernel.errors import FieldError, InvalidError


def request_dict(row: AccessRequest) -> dict[str, Any]:
    return {
        "id": row.pk,
        "resource": {"kind": row.resource_kind, "key": row.resource_key},
        "requester": row.requester.email,
        "personal": row.wants_personal,
        "purpose": row.purpose,
        "until": row.until,
        "state": row.state,
        "created_at": row.created_at,
        "decided_at": row.decided_at,
        "decided_by": row.decided_by.email if row.decided_by else None,
        "reason": row.decision_reason,
    }


def grant_dict(row: GrantRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "resource": {"kind": row.ref.kind, "key": row.ref.key},
        "holder": row.holder,
        "permission": row.permission,
        "purpose": row.purpose,
        "valid_from": row.valid_from,
        "valid_until": row.valid_until,
        "revoked_at": row.revoked_at,
        "granted_by": row.granted_by,
    }


def _resource(value: Any) -> ResourceRef:
    """`{"kind": "stream", "key": "checkout.order_placed"}`."""
    if not isinstance(value, dict) or not all(
        isinstance(value.get(name), str) for name in ("kind", "key")
    ):
        raise TypeError("must be an object with kind and key")
    return ResourceRef(value["kind"], value["key"][:255])


class AccessRequests(APIView):
    policy: ClassVar = {"GET": "signed_in", "POST": "stream.discover"}

    def get(self, request: Request) -> Response:
        asked = parameters.read(
            request.query_params,
            {"state": parameters.choice(("open", "approved", "denied", "withdrawn"))}
            | dict(parameters.LIST),
        )
        rows = selectors.visible_requests(api_actor(request))
        if "state" in asked:
            rows = rows.filter(state=asked["state"])
        page = paginate(
            rows,
            order=("-created_at", "id"),
            limit=asked.get("limit"),
            cursor=asked.get("cursor"),
        )
        return Response(page.as_dict(request_dict))

    @idempotent
    def post(self, request: Request) -> Response:
        body = bodies.read(
            request.data,
            required={"resource": _resource, "purpose": bodies.text(1000)}
            | {"until": bodies.moment},
            optional={"personal": bodies.boolean},
        )
        row = services.ask_for_access(
            body["resource"],
            actor=api_actor(request),
            purpose=body["purpose"],
            until=body["until"],
            wants_personal=body.get("personal", False),
        )
        return Response(request_dict(row), status=201)


class AccessRequestDetail(APIView):
    policy: ClassVar = {"GET": "signed_in"}

    def get(self, request: Request, request_id: UUID) -> Response:
        return Response(request_dict(selectors.get_request(api_actor(request), request_id)))


class AccessRequestStep(APIView):
    """One step of a request: approve, deny or withdraw."""

    policy: ClassVar = {"POST": "access.decide"}
    step: str = ""

    @idempotent
    def post(self, request: Request, request_id: UUID) -> Response:
        body = bodies.read(
            request.data or {}, optional={"reason": bodies.text(1000), "until": bodies.moment}
        )
        actor, reason = api_actor(request), body.get("reason", "")
        if self.step == "approve":
            row = services.approve_request(
                request_id, actor=actor, reason=reason, until=body.get("until")
            )
        elif self.step == "deny":
            row = services.deny_request(request_id, actor=actor, reason=reason)
        else:
            row = services.withdraw_request(request_id, actor=actor)
        return Response(request_dict(row))


class Grants(APIView):
    policy: ClassVar = {"GET": "signed_in", "POST": "access.decide"}

    def get(self, request: Request) -> Response:
        parameters.read(request.query_params, parameters.LIST)
        rows = selectors.live_grants(api_actor(request), limit=500)
        return Response({"items": [grant_dict(row) for row in rows], "next": None})

    @idempotent
    def post(self, request: Request) -> Response:
        body = bodies.read(
            request.data,
            required={
                "resource": _resource,
                "permission": bodies.choice(tuple(Permission)),
                "holder": bodies.text(254),
                "purpose": bodies.text(1000),
                "until": bodies.moment,
            },
        )
        row = services.grant_access(
            body["resource"],
            actor=api_actor(request),
            permission=Permission(body["permission"]),
            holder=_holder(body["holder"]),
            purpose=body["purpose"],
            until=body["until"],
        )
        return Response(grant_dict(row), status=201)


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


class GrantRevoke(APIView):
    policy: ClassVar = {"POST": "access.decide"}

    @idempotent
    def post(self, request: Request, grant_id: str) -> Response:
        return Response(grant_dict(services.end_grant(grant_id, actor=api_actor(request))))


class GrantExplain(APIView):
    """Why the caller holds, or does not hold, a permission on a thing."""

    policy: ClassVar = {"GET": "signed_in"}

    def get(self, request: Request) -> Response:
        asked = parameters.read(
            request.query_params,
            {
                "resource": parameters.text(200),
                "permission": parameters.choice(tuple(Permission)),
            },
        )
        kind, _, key = asked.get("resource", "").partition(":")
        thing: Any = access.find_resource(ResourceRef(kind, key))
        access.require(api_actor(request), Permission.DISCOVER, thing)
        permission = Permission(asked.get("permission", Permission.READ_PAYLOAD))
        reasons = access.explain(api_actor(request), permission, thing)
        return Response(
            {
                "permission": permission,
                "held": bool(reasons),
                "reasons": [
                    {"by": r.by, "text": r.text, "until": r.until, "purpose": r.purpose}
                    for r in reasons
                ],
                "request_at": access.ask_url(thing.ref),
            }
        )


class Audit(APIView):
    policy: ClassVar = {"GET": "audit.read"}

    def get(self, request: Request) -> Response:
        asked = parameters.read(
            request.query_params,
            {
                "actor": parameters.text(254),
                "action": parameters.text(60),
                "object": parameters.text(200),
                "from": parameters.moment,
                "to": parameters.moment,
            }
            | dict(parameters.LIST),
        )
        page = paginate(
            audit_log.entries(
                actor=asked.get("actor", ""),
                action=asked.get("action", ""),
                object_key=asked.get("object", ""),
                since=asked.get("from"),
                until=asked.get("to"),
            ),
            order=("-seq",),
            limit=asked.get("limit"),
            cursor=asked.get("cursor"),
        )
        return Response(page.as_dict(audit_log.as_dict))


class AuditVerify(APIView):
    policy: ClassVar = {"POST": "audit.read"}

    @idempotent
    def post(self, request: Request) -> Response:
        found = verify_chain()
        return Response(
            {
                "holds": found.holds,
                "rows": found.rows,
                "first_bad": found.first_bad,
                "head_hash": found.head_hash,
            }
        )
