"""REST of the finder: tags, fields, search, and who is calling."""

from typing import ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import render
from catalog.api.common import page_of
from catalog.api.streams import question_of
from catalog.selectors import parties, search
from governance.api.authentication import api_actor
from governance.api.base import ApiView
from governance.models import Team
from portal.http import parameters
from portal.http.operations import listed, operation
from portal.kernel.errors import NotFoundError


class Tags(ApiView):
    policy: ClassVar = {"GET": "signed_in"}

    @operation(
        "The tags of streams you may know of.", takes=parameters.LIST, gives=listed(render.TagBody)
    )
    def get(self, request: Request) -> Response:
        return page_of(self.asked, parties.visible_tags(api_actor(request)), ("slug",), render.tag)


class TagDetail(ApiView):
    policy: ClassVar = {"GET": "signed_in"}

    @operation("One tag.", gives=render.TagBody)
    def get(self, request: Request, slug: str) -> Response:
        row = parties.visible_tags(api_actor(request)).filter(slug=slug).first()
        if row is None:
            raise NotFoundError
        return Response(render.tag(row))


class Fields(ApiView):
    policy: ClassVar = {"GET": "stream.discover"}

    @operation(
        "Field names over all streams, the best first, then the most used.",
        takes={"q": parameters.text(200), **parameters.LIST},
        gives=listed(render.FieldUseBody),
    )
    def get(self, request: Request) -> Response:
        rows = search.find_fields(api_actor(request), self.asked.get("q", ""))
        return page_of(self.asked, rows, search.FIELD_ORDER, render.field_use)


class Search(ApiView):
    policy: ClassVar = {"GET": "stream.discover"}

    @operation(
        "The finder: the best streams and fields for a text.",
        takes={"q": parameters.text(200), "limit": parameters.integer(1, 50)},
        gives=render.FoundBody,
    )
    def get(self, request: Request) -> Response:
        asked, actor = self.asked, api_actor(request)
        limit = asked.get("limit", 10)
        found = search.find_streams(actor, question_of(asked), with_facets=False)
        streams = found.rows.order_by(*search.ORDERINGS["relevance"])[:limit]
        fields = search.find_fields(actor, asked.get("q", "")).order_by(*search.FIELD_ORDER)
        body: render.FoundBody = {
            "streams": [render.stream(row) for row in streams],
            "fields": [render.field_use(row) for row in fields[:limit]],
            "read_as": found.corrected or None,
        }
        return Response(body)


class Me(ApiView):
    policy: ClassVar = {"GET": "credentials"}

    @operation("Who is calling, and what they may do in general.", gives=render.MeBody)
    def get(self, request: Request) -> Response:
        actor = api_actor(request)
        teams = Team.objects.filter(pk__in=actor.team_ids).order_by("slug")
        body: render.MeBody = {
            "kind": actor.kind,
            "id": actor.id,
            "name": actor.label,
            "roles": sorted(actor.roles),
            "teams": [team.slug for team in teams],
            "scopes": sorted(actor.scopes),
        }
        return Response(body)
