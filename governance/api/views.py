"""Saved questions over REST: one's own and shared ones."""

from typing import Any, Final, TypedDict
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from governance import view_kinds
from governance.api.authentication import api_actor
from governance.api.base import ApiView
from governance.api.idempotency import idempotent
from governance.models import SavedView
from governance.selectors.views import get_view, visible_views
from governance.services import views as services
from portal.http import bodies, parameters
from portal.http.bodies import Body
from portal.http.conditional import etag, require_match
from portal.http.operations import Time, listed, operation
from portal.http.pagination import paginate
from portal.kernel.actor import Actor
from portal.kernel.errors import NotFoundError

NEW_VIEW: Final = Body(
    required={
        "kind": bodies.text(20),
        "name": bodies.text(services.LONGEST_NAME),
        "asked": bodies.document,
    },
    optional={"shared": bodies.boolean},
)
VIEW_CHANGES: Final = Body(
    optional={
        "name": bodies.text(services.LONGEST_NAME),
        "asked": bodies.document,
        "shared": bodies.boolean,
    }
)


class ViewBody(TypedDict):
    """`asked` holds the parameters of the page that `url` leads to."""

    id: UUID
    kind: str
    name: str
    asked: dict[str, Any]
    shared: bool
    owner: str
    mine: bool
    url: str
    created_at: Time
    updated_at: Time
    revision: int


def view_body(row: SavedView, actor: Actor) -> ViewBody:
    return {
        "id": row.pk,
        "kind": row.kind,
        "name": row.name,
        "asked": row.asked,
        "shared": row.is_shared,
        "owner": row.owner.email,
        "mine": row.owner_id == actor.id,
        "url": view_kinds.address_of(row.kind, row.asked),
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "revision": row.revision,
    }


class Views(ApiView):
    @operation(
        "Your saved questions, and those that others share with who may ask them, by name.",
        takes={"kind": parameters.text(20), **parameters.LIST},
        gives=listed(ViewBody),
    )
    def get(self, request: Request) -> Response:
        actor, asked = api_actor(request), self.asked
        page = paginate(
            visible_views(actor, kind=asked.get("kind", "")), order=("name", "id"),
            limit=asked.get("limit"), cursor=asked.get("cursor"),
        )  # fmt: skip
        return Response(page.as_dict(lambda row: view_body(row, actor)))

    @operation(
        "Keep a question under a name. `kind` is the page (`audit`), `asked` its parameters.",
        body=NEW_VIEW,
        gives=ViewBody,
        status=201,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        actor, body = api_actor(request), self.said(request)
        row = services.save_view(
            body["kind"], body["name"], body["asked"], actor=actor,
            is_shared=body.get("shared", False),
        )  # fmt: skip
        headers = {"ETag": etag(row.revision), "Location": f"/api/v1/views/{row.pk}"}
        return Response(view_body(row, actor), status=201, headers=headers)


class ViewDetail(ApiView):
    @operation("One of your own, or a shared one.", gives=ViewBody)
    def get(self, request: Request, view_id: UUID) -> Response:
        return _answer(get_view(api_actor(request), view_id), api_actor(request))

    @operation("Another name or question; share it or not.", body=VIEW_CHANGES, gives=ViewBody)
    def patch(self, request: Request, view_id: UUID) -> Response:
        actor = api_actor(request)
        row = _own(actor, view_id)
        require_match(request.headers, etag(row.revision))
        body = self.said(request)
        changed = services.change_view(
            view_id, actor=actor, revision=row.revision, name=body.get("name"),
            asked=body.get("asked"), is_shared=body.get("shared"),
        )  # fmt: skip
        return _answer(changed, actor)

    @operation("Throw it away.", status=204)
    def delete(self, request: Request, view_id: UUID) -> Response:
        actor = api_actor(request)
        require_match(request.headers, etag(_own(actor, view_id).revision))
        services.delete_view(view_id, actor=actor)
        return Response(status=204)


def _own(actor: Actor, view_id: UUID) -> SavedView:
    row = get_view(actor, view_id)
    if row.owner_id != actor.id:
        raise NotFoundError
    return row


def _answer(row: SavedView, actor: Actor) -> Response:
    return Response(view_body(row, actor), headers={"ETag": etag(row.revision)})
