"""Deputies over REST: who decides for whom while they are away."""

from typing import Final
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from governance.api import render
from governance.api.authentication import api_actor
from governance.api.base import ApiView
from governance.api.idempotency import idempotent
from governance.models import User
from governance.selectors.delegations import delegations_of, get_delegation
from governance.services import delegations as services
from portal.http import bodies, parameters
from portal.http.bodies import Body
from portal.http.operations import listed, operation
from portal.http.pagination import paginate
from portal.kernel import clock
from portal.kernel.errors import FieldError, InvalidError

NEW_DELEGATION: Final = Body(
    required={"deputy": bodies.text(254), "until": bodies.moment},
    optional={"since": bodies.moment, "note": bodies.text(200)},
)


class Delegations(ApiView):
    @operation(
        "Who decides for you, and for whom you decide, until when.",
        takes=parameters.LIST,
        gives=listed(render.DelegationBody),
    )
    def get(self, request: Request) -> Response:
        asked = self.asked
        page = paginate(
            delegations_of(api_actor(request)), order=("until", "id"),
            limit=asked.get("limit"), cursor=asked.get("cursor"),
        )  # fmt: skip
        return Response(page.as_dict(render.delegation))

    @operation(
        "Let somebody decide on requests for access in your place, for at most 90 days.",
        body=NEW_DELEGATION,
        gives=render.DelegationBody,
        status=201,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        body = self.said(request)
        made = services.delegate(
            actor=api_actor(request),
            deputy=_person(body["deputy"]),
            since=body.get("since") or clock.now(),
            until=body["until"],
            note=body.get("note", ""),
        )
        place = {"Location": f"/api/v1/delegations/{made.pk}"}
        return Response(render.delegation(made), status=201, headers=place)


class DelegationDetail(ApiView):
    @operation("One of your own.", gives=render.DelegationBody)
    def get(self, request: Request, delegation_id: UUID) -> Response:
        return Response(render.delegation(get_delegation(api_actor(request), delegation_id)))


class DelegationEnd(ApiView):
    @operation("End it before its time.", body=bodies.EMPTY, gives=render.DelegationBody)
    @idempotent
    def post(self, request: Request, delegation_id: UUID) -> Response:
        self.said(request)
        ended = services.end_delegation(delegation_id, actor=api_actor(request))
        return Response(render.delegation(ended))


def _person(address: str) -> User:
    found = User.objects.filter(email=address.lower(), is_active=True).first()
    if found is None:
        fault = FieldError("/deputy", "unknown", "give the address of a person here")
        raise InvalidError("The deputy is not known.", errors=[fault])
    return found
