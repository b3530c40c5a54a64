"""REST of the glossary."""

from typing import Any, ClassVar, Final, TypedDict

from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api.common import DESCRIPTION, NAME, OWNER, SLUG, made, page_of
from catalog.api.references import find_team
from catalog.models import Term
from catalog.selectors import glossary as selectors
from catalog.selectors.streams import get_stream
from catalog.services import glossary as services
from governance.api.authentication import api_actor
from governance.api.base import ApiView
from governance.api.idempotency import idempotent
from portal.http import bodies, parameters
from portal.http.bodies import Body
from portal.http.conditional import etag, require_match
from portal.http.described import Described
from portal.http.operations import Time, listed, operation
from portal.kernel.actor import Actor


class UseBody(TypedDict):
    stream: str | None
    field: str | None


class TermBody(TypedDict):
    slug: str
    name: str
    definition: str
    owner: str | None
    synonyms: list[str]
    created_at: Time
    updated_at: Time
    revision: int


class TermDetailBody(TermBody):
    uses: list[UseBody]


def _uses(value: Any) -> list[tuple[str | None, str]]:
    """`[{"stream": name or null, "field": path or null}, …]`."""
    if not isinstance(value, list):
        raise TypeError("must be a list of uses")
    if len(value) > services.MAX_USES:
        raise ValueError(f"may have {services.MAX_USES} entries at most")
    found = []
    for use in value:
        if not isinstance(use, dict) or set(use) - {"stream", "field"}:
            raise TypeError("must hold objects with stream and field")
        if not all(part is None or isinstance(part, str) for part in use.values()):
            raise TypeError("must hold texts or null")
        found.append((use.get("stream"), use.get("field") or ""))
    return found


_MAYBE: Final = {"anyOf": [{"type": "string", "maxLength": 500}, {"type": "null"}]}
_PARTS: Final[dict[str, bodies.Reader]] = {
    "owner": OWNER,
    "synonyms": bodies.texts(services.MAX_SYNONYMS, 120),
    "uses": Described(
        _uses,
        {
            "type": "array",
            "maxItems": services.MAX_USES,
            "items": {
                "type": "object",
                "properties": {"stream": _MAYBE, "field": _MAYBE},
                "additionalProperties": False,
            },
        },
    ),
}
NEW_TERM: Final = Body(
    required={"slug": SLUG, "name": NAME, "definition": DESCRIPTION}, optional=_PARTS
)
TERM_CHANGES: Final = Body(optional={"name": NAME, "definition": DESCRIPTION, **_PARTS})


def term_body(row: Term) -> TermBody:
    return {
        "slug": row.slug,
        "name": row.name,
        "definition": row.definition,
        "owner": row.owner_team.slug if row.owner_team else None,
        "synonyms": row.synonyms,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "revision": row.revision,
    }


def _whole(actor: Actor, row: Term) -> TermDetailBody:
    return {
        **term_body(row),
        "uses": [
            {"stream": use.stream.name if use.stream else None, "field": use.field or None}
            for use in selectors.visible_uses(actor, row)
        ],
    }


def _named(actor: Actor, uses: list[tuple[str | None, str]]) -> list[services.Use]:
    """Uses with their streams; one that the actor may not know of is a NotFoundError."""
    return [(get_stream(actor, name) if name is not None else None, field) for name, field in uses]


class Glossary(ApiView):
    @operation(
        "The terms that teams share; with a text the best first, else by name.",
        takes={"q": parameters.text(200), **parameters.LIST},
        gives=listed(TermBody),
    )
    def get(self, request: Request) -> Response:
        rows = selectors.find_terms(self.asked.get("q", ""))
        return page_of(self.asked, rows, selectors.ORDER, term_body)

    @operation(
        "Make a term. A use names a stream, a field of one stream, or a field of every stream.",
        body=NEW_TERM,
        gives=TermDetailBody,
        status=201,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        actor, body = api_actor(request), self.said(request)
        row = services.create_term(
            body["slug"],
            actor=actor,
            name=body["name"],
            definition=body["definition"],
            owner_team=find_team(body.get("owner")),
            synonyms=body.get("synonyms", []),
            uses=_named(actor, body.get("uses", [])),
        )
        return made(_whole(actor, row), etag(row.revision), f"glossary/{row.slug}")


class TermDetail(ApiView):
    @operation("One term, with its uses as far as you may know of them.", gives=TermDetailBody)
    def get(self, request: Request, slug: str) -> Response:
        row = selectors.get_term(slug)
        return Response(_whole(api_actor(request), row), headers={"ETag": etag(row.revision)})

    @operation(
        "Change a term; uses are replaced as far as you may know of them.",
        body=TERM_CHANGES,
        gives=TermDetailBody,
    )
    def patch(self, request: Request, slug: str) -> Response:
        actor, row = api_actor(request), selectors.get_term(slug)
        require_match(request.headers, etag(row.revision))
        changes = self.said(request)
        if "owner" in changes:
            changes["owner_team"] = find_team(changes.pop("owner"))
        if "uses" in changes:
            changes["uses"] = _named(actor, changes["uses"])
        row = services.change_term(row, changes, actor=actor, revision=row.revision)
        return Response(_whole(actor, row), headers={"ETag": etag(row.revision)})

    @operation("Delete a term with its links.", status=204)
    def delete(self, request: Request, slug: str) -> Response:
        row = selectors.get_term(slug)
        require_match(request.headers, etag(row.revision))
        services.delete_term(row, actor=api_actor(request), revision=row.revision)
        return Response(status=204)
