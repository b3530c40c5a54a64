"""REST of the finder: tags, fields, search, and who is calling."""

from typing import ClassVar, TypedDict

from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import render
from catalog.api.common import page_of
from catalog.api.glossary import TermBody, term_body
from catalog.api.streams import question_of
from catalog.selectors import fields, parties, search
from catalog.selectors.glossary import ORDER as TERM_ORDER
from catalog.selectors.glossary import find_terms
from catalog.types import Classification
from governance.api.authentication import api_actor
from governance.api.base import ApiView
from governance.models import Team
from portal.http import parameters
from portal.http.operations import listed, operation
from portal.http.pagination import paginate
from portal.kernel.errors import NotFoundError


class VariantBody(TypedDict):
    types: list[str]
    format: str | None
    unit: str | None
    classification: str | None
    streams: int
    example_stream: str
    example_path: str


class FieldNameBody(render.FieldUseBody):
    conflicts: list[str]
    variants: list[VariantBody]


def field_name(row: fields.FieldName) -> FieldNameBody:
    return {
        "name": row.name,
        "types": row.types,
        "streams": row.streams,
        "conflicts": list(row.conflicts),
        "variants": [
            {
                "types": one.kind.split(" or ") if one.kind else [],
                "format": one.format or None,
                "unit": one.unit or None,
                "classification": one.classification or None,
                "streams": one.streams,
                "example_stream": one.example,
                "example_path": one.path,
            }
            for one in row.variants
        ],
    }


class FoundBody(render.FoundBody):
    terms: list[TermBody]


class Tags(ApiView):
    @operation(
        "The tags of streams you may know of.", takes=parameters.LIST, gives=listed(render.TagBody)
    )
    def get(self, request: Request) -> Response:
        return page_of(self.asked, parties.visible_tags(api_actor(request)), ("slug",), render.tag)


class TagDetail(ApiView):
    @operation("One tag.", gives=render.TagBody)
    def get(self, request: Request, slug: str) -> Response:
        row = parties.visible_tags(api_actor(request)).filter(slug=slug).first()
        if row is None:
            raise NotFoundError
        return Response(render.tag(row))


class Fields(ApiView):
    @operation(
        "Fields over all streams by name, the most used first, with the ways streams have them; "
        "`conflicts` keeps those on which streams disagree, or do not.",
        takes={
            "q": parameters.text(200),
            "classification": parameters.choice(Classification.values),
            "conflicts": parameters.flag,
            "ordering": parameters.choice(fields.ORDERINGS),
            **parameters.LIST,
        },
        gives=listed(FieldNameBody),
    )
    def get(self, request: Request) -> Response:
        actor, asked = api_actor(request), self.asked
        page = paginate(
            fields.explore_fields(
                actor,
                text=asked.get("q", ""),
                classification=asked.get("classification", ""),
                conflicts=asked.get("conflicts"),
            ),
            order=fields.ORDERINGS[asked.get("ordering", "uses")],
            limit=asked.get("limit"),
            cursor=asked.get("cursor"),
        )
        named = fields.named_fields(actor, page.items)
        return Response({"items": [field_name(row) for row in named], "next": page.next})


class Search(ApiView):
    @operation(
        "The finder: the best streams, fields and terms for a text.",
        takes={"q": parameters.text(200), "limit": parameters.integer(1, 50)},
        gives=FoundBody,
    )
    def get(self, request: Request) -> Response:
        asked, actor = self.asked, api_actor(request)
        limit, text = asked.get("limit", 10), asked.get("q", "")
        found = search.find_streams(actor, question_of(asked), with_facets=False)
        streams = found.rows.order_by(*search.ORDERINGS["relevance"])[:limit]
        found_fields = search.find_fields(actor, text).order_by(*search.FIELD_ORDER)
        terms = list(find_terms(text).order_by(*TERM_ORDER)[:limit]) if text.strip() else []
        body: FoundBody = {
            "streams": [render.stream(row) for row in streams],
            "fields": [render.field_use(row) for row in found_fields[:limit]],
            "terms": [term_body(row) for row in terms],
            "read_as": found.corrected or None,
        }
        return Response(body)


class Me(ApiView):
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
