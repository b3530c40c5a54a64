"""REST of keys: personal tokens, and the keys of one's teams' producers and consumers."""

from datetime import timedelta
from typing import ClassVar, Final

from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import render
from catalog.api.common import KEY_ORDER, made, page_of
from catalog.selectors import parties
from catalog.services.keys import rotate_key
from governance.api.authentication import api_actor
from governance.api.base import ApiView
from governance.api.idempotency import idempotent
from governance.rotation import AS_BEFORE, GRACE, LONGEST_GRACE, Rotation
from governance.services.keys import create_token, revoke_key
from portal.http import bodies, parameters
from portal.http.bodies import Body
from portal.http.conditional import etag, require_match
from portal.http.operations import listed, operation
from portal.kernel.actor import ALL_SCOPES

NEW_TOKEN: Final = Body(
    required={"name": bodies.text(120, 1)},
    optional={
        "scopes": bodies.choices(sorted(ALL_SCOPES)),
        "expires_at": bodies.nullable(bodies.moment),
    },
)

ROTATION: Final = Body(
    optional={
        "grace_seconds": bodies.integer(0, int(LONGEST_GRACE.total_seconds())),
        "expires_at": bodies.nullable(bodies.moment),
    }
)


class Keys(ApiView):
    sudo: ClassVar = {"POST"}

    @operation("The live keys you may end.", takes=parameters.LIST, gives=listed(render.KeyBody))
    def get(self, request: Request) -> Response:
        rows = parties.visible_keys(api_actor(request))
        return page_of(self.asked, rows, KEY_ORDER, render.key)

    @operation(
        "Make a personal token, at most as wide as your present credentials; its text is in this "
        "answer and nowhere else.",
        body=NEW_TOKEN,
        gives=render.NewKeyBody,
        status=201,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        body = self.said(request)
        row, text = create_token(
            actor=api_actor(request),
            name=body["name"],
            scopes=body.get("scopes"),
            expires_at=body.get("expires_at"),
        )
        return made(render.new_key(row, text), etag(row.pk), f"keys/{row.pk}")


class KeyDetail(ApiView):
    @operation("One key, without its secret.", gives=render.KeyBody)
    def get(self, request: Request, key_id: str) -> Response:
        row = parties.get_key(api_actor(request), key_id)
        return Response(render.key(row), headers={"ETag": etag(row.pk)})

    @operation("End a key at once.", status=204)
    def delete(self, request: Request, key_id: str) -> Response:
        actor = api_actor(request)
        row = parties.get_key(actor, key_id)
        require_match(request.headers, etag(row.pk))
        revoke_key(row.pk, actor=actor)
        return Response(status=204)


class KeyRotation(ApiView):
    sudo: ClassVar = {"POST"}

    @operation(
        "Replace a key by one with a new secret and the same rights; its text is in this answer and "
        "nowhere else. The old one ends after `grace_seconds`, 0 to 7 days, 24 hours unless said. "
        "`expires_at` is when the new one ends, null for without end; unless said, as the old one "
        "would have.",
        body=ROTATION,
        gives=render.RotatedKeyBody,
        status=201,
    )
    @idempotent
    def post(self, request: Request, key_id: str) -> Response:
        actor = api_actor(request)
        row, body = parties.get_kept_key(actor, key_id), self.said(request)
        seconds = body.get("grace_seconds", GRACE.total_seconds())
        rotation = Rotation(timedelta(seconds=seconds), body.get("expires_at", AS_BEFORE))
        rotated = rotate_key(row.pk, actor=actor, rotation=rotation)
        new = rotated.new
        return made(render.rotated_key(rotated), etag(new.pk), f"keys/{new.pk}")
