"""REST of domains and teams: what streams and people stand under."""

from typing import ClassVar, Final

from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import render
from catalog.api.common import DESCRIPTION, NAME, OWNER, SLUG, made, page_of
from catalog.api.references import find_team
from catalog.models import Domain
from catalog.selectors import parties
from catalog.services import domains as domain_services
from governance.api.authentication import api_actor
from governance.api.base import ApiView
from governance.api.idempotency import idempotent
from governance.models import Team
from governance.services.teams import change_team, create_team
from portal.http import bodies, parameters
from portal.http.bodies import Body
from portal.http.conditional import etag, require_match
from portal.http.operations import listed, operation
from portal.kernel import rfc3339
from portal.kernel.errors import NotFoundError

NEW_DOMAIN: Final = Body(
    required={"slug": SLUG},
    optional={"name": NAME, "description": DESCRIPTION, "owner": OWNER},
)
DOMAIN_CHANGES: Final = Body(
    optional={"name": bodies.text(120, 1), "description": DESCRIPTION, "owner": OWNER}
)


def _tag_of(row: Domain | Team) -> str:
    return etag(rfc3339.spell(row.updated_at))


class Domains(ApiView):
    @operation("The domains.", takes=parameters.LIST, gives=listed(render.DomainBody))
    def get(self, request: Request) -> Response:
        rows = Domain.objects.select_related("owner_team")
        return page_of(self.asked, rows, ("slug",), render.domain)

    @operation("Make a domain.", body=NEW_DOMAIN, gives=render.DomainBody, status=201)
    @idempotent
    def post(self, request: Request) -> Response:
        body = self.said(request)
        row = domain_services.create_domain(
            body["slug"],
            actor=api_actor(request),
            name=body.get("name", ""),
            description=body.get("description", ""),
            owner_team=find_team(body.get("owner")),
        )
        return made(render.domain(row), _tag_of(row), f"domains/{row.slug}")


class DomainDetail(ApiView):
    @operation("One domain.", gives=render.DomainBody)
    def get(self, request: Request, slug: str) -> Response:
        row = parties.get_domain(slug)
        return Response(render.domain(row), headers={"ETag": _tag_of(row)})

    @operation("Change a domain.", body=DOMAIN_CHANGES, gives=render.DomainBody)
    def patch(self, request: Request, slug: str) -> Response:
        row = parties.get_domain(slug)
        require_match(request.headers, _tag_of(row))
        changes = self.said(request)
        if "owner" in changes:
            changes["owner_team"] = find_team(changes.pop("owner"))
        row = domain_services.change_domain(
            row, changes, actor=api_actor(request), unless_after=row.updated_at
        )
        return Response(render.domain(row), headers={"ETag": _tag_of(row)})


NEW_TEAM: Final = Body(
    required={"slug": SLUG, "name": bodies.text(120, 1)},
    optional={"description": DESCRIPTION},
)
TEAM_CHANGES: Final = Body(optional={"name": bodies.text(120, 1), "description": DESCRIPTION})


class Teams(ApiView):
    @operation("The teams.", takes=parameters.LIST, gives=listed(render.TeamBody))
    def get(self, request: Request) -> Response:
        return page_of(self.asked, Team.objects.all(), ("slug",), render.team)

    @operation("Make a team.", body=NEW_TEAM, gives=render.TeamBody, status=201)
    @idempotent
    def post(self, request: Request) -> Response:
        body = self.said(request)
        row = create_team(
            body["slug"],
            actor=api_actor(request),
            name=body["name"],
            description=body.get("description", ""),
        )
        return made(render.team(row), _tag_of(row), f"teams/{row.slug}")


class TeamDetail(ApiView):
    @operation("One team.", gives=render.TeamBody)
    def get(self, request: Request, slug: str) -> Response:
        row = _team(slug)
        return Response(render.team(row), headers={"ETag": _tag_of(row)})

    @operation("Change a team.", body=TEAM_CHANGES, gives=render.TeamBody)
    def patch(self, request: Request, slug: str) -> Response:
        row = _team(slug)
        require_match(request.headers, _tag_of(row))
        row = change_team(
            row, self.said(request), actor=api_actor(request), unless_after=row.updated_at
        )
        return Response(render.team(row), headers={"ETag": _tag_of(row)})


def _team(slug: str) -> Team:
    found = Team.objects.filter(slug=slug).first()
    if found is None:
        raise NotFoundError
    return found
