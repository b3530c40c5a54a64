"""REST of drafts: unpublished registrations and edits, private unless shared."""

from typing import Any, ClassVar, Final, NotRequired, TypedDict
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import render
from catalog.api.changes import change_answer
from catalog.api.common import made, page_of
from catalog.api.references import find_team
from catalog.api.streams import (
    NEW_STREAM,
    NEW_VERSION,
    new_stream,
    proposal,
    stream_answer,
)
from catalog.models import Draft, DraftKind
from catalog.selectors.changes import get_change
from catalog.selectors.drafts import get_draft, visible_drafts
from catalog.selectors.streams import get_stream
from catalog.services import drafts as services
from governance.api.authentication import api_actor
from governance.api.base import ApiView
from governance.api.idempotency import idempotent
from governance.models import Team, User
from portal.http import bodies, parameters
from portal.http.bodies import Body
from portal.http.conditional import etag, require_match
from portal.http.operations import Time, listed, operation
from portal.kernel.actor import Actor
from portal.kernel.errors import FieldError, InvalidError

_TITLE: Final = bodies.text(services.MAX_TITLE)
NEW_DRAFT: Final = Body(
    required={"kind": bodies.choice(DraftKind.values), "content": bodies.document},
    optional={"stream": bodies.text(255), "title": _TITLE},
)
DRAFT_CHANGES: Final = Body(optional={"content": bodies.document, "title": _TITLE})
SHARING: Final = Body(
    optional={
        "users": bodies.texts(services.MAX_SHARED, 254),
        "team": bodies.nullable(bodies.text(60)),
        "teams": bodies.texts(services.MAX_SHARED, 60),
    }
)
_ORDER: Final = ("-updated_at", "id")


class SharedBody(TypedDict):
    users: list[str]
    teams: list[str]


class DraftBody(TypedDict):
    """`expires_at`: when it is removed if nobody touches it."""

    id: UUID
    kind: str
    stream: str | None
    title: str
    owner: str
    mine: bool
    created_at: Time
    updated_at: Time
    updated_by: str
    expires_at: Time


class DraftDetailBody(DraftBody):
    content: dict[str, Any]
    shared: SharedBody


class PublishedBody(TypedDict):
    """What a draft became: a registered stream, or a change of one."""

    kind: str
    stream: NotRequired[render.StreamBody]
    change: NotRequired[render.ChangeDetailBody]


def draft_body(row: Draft, actor: Actor) -> DraftBody:
    return {
        "id": row.pk,
        "kind": row.kind,
        "stream": row.stream.name if row.stream else None,
        "title": row.title,
        "owner": row.owner.email,
        "mine": row.owner_id == actor.id,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "updated_by": row.updated_by,
        "expires_at": services.goes_at(row),
    }


def detail(row: Draft, actor: Actor) -> DraftDetailBody:
    shares = list(row.shares.select_related("user", "team"))
    return {
        **draft_body(row, actor),
        "content": row.content,
        "shared": {
            "users": sorted(share.user.email for share in shares if share.user),
            "teams": sorted(share.team.slug for share in shares if share.team),
        },
    }


def _answer(row: Draft, actor: Actor) -> Response:
    return Response(detail(row, actor), headers={"ETag": etag(row.revision)})


class Drafts(ApiView):
    @operation(
        "Your drafts and those shared with you, the last touched first.",
        takes={
            "kind": parameters.choice(DraftKind.values),
            "mine": parameters.flag,
            **parameters.LIST,
        },
        gives=listed(DraftBody),
    )
    def get(self, request: Request) -> Response:
        actor, asked = api_actor(request), self.asked
        rows = visible_drafts(actor).defer("content", "page")
        if "kind" in asked:
            rows = rows.filter(kind=asked["kind"])
        if "mine" in asked:
            own = rows.filter(owner_id=actor.id)
            rows = own if asked["mine"] else rows.exclude(owner_id=actor.id)
        return page_of(asked, rows, _ORDER, lambda row: draft_body(row, actor))

    @operation(
        "Begin a draft. Its content is the body it is to become, valid or not.",
        body=NEW_DRAFT,
        gives=DraftDetailBody,
        status=201,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        actor = api_actor(request)
        body = self.said(request)
        kind = DraftKind(body["kind"])
        if (kind == DraftKind.CHANGE) != ("stream" in body):
            raise InvalidError(
                "A draft of a change names its stream; one of a registration none.",
                errors=[FieldError("/stream", "required", "goes with the kind change")],
            )
        row = services.create_draft(
            kind,
            body["content"],
            actor=actor,
            stream=get_stream(actor, body["stream"]) if "stream" in body else None,
            title=body.get("title", ""),
        )
        return made(detail(row, actor), etag(row.revision), f"drafts/{row.pk}")


class DraftDetail(ApiView):
    @operation("One draft with its content.", gives=DraftDetailBody)
    def get(self, request: Request, draft_id: UUID) -> Response:
        actor = api_actor(request)
        return _answer(get_draft(actor, draft_id), actor)

    @operation("Keep another content or title.", body=DRAFT_CHANGES, gives=DraftDetailBody)
    def patch(self, request: Request, draft_id: UUID) -> Response:
        actor = api_actor(request)
        row = get_draft(actor, draft_id)
        require_match(request.headers, etag(row.revision))
        body = self.said(request)
        services.change_draft(row, actor=actor, revision=row.revision, **body)
        return _answer(get_draft(actor, draft_id), actor)

    @operation("Throw it away.", status=204)
    def delete(self, request: Request, draft_id: UUID) -> Response:
        actor = api_actor(request)
        row = get_draft(actor, draft_id)
        require_match(request.headers, etag(row.revision))
        services.discard_draft(row, actor=actor, revision=row.revision)
        return Response(status=204)


class ShareDraft(ApiView):
    @operation(
        "Share it with exactly these people or teams; an empty list takes it back.",
        body=SHARING,
        gives=DraftDetailBody,
    )
    @idempotent
    def post(self, request: Request, draft_id: UUID) -> Response:
        actor = api_actor(request)
        row = get_draft(actor, draft_id)
        body = self.said(request)
        if not body:
            raise InvalidError(
                "Say with whom.",
                errors=[FieldError("/users", "required", "name users or teams")],
            )
        services.share_draft(row, actor=actor, users=_users(body), teams=_teams(body))
        return _answer(get_draft(actor, draft_id), actor)


def _users(body: dict[str, Any]) -> list[User] | None:
    if "users" not in body:
        return None
    wanted = [email.strip().lower() for email in body["users"]]
    found = {user.email.lower(): user for user in User.objects.filter(email__in=wanted)}
    if unknown := [place for place, email in enumerate(wanted) if email not in found]:
        raise InvalidError(
            "Some people are not known.",
            errors=[FieldError(f"/users/{place}", "unknown", "is nobody") for place in unknown],
        )
    return list(found.values())


def _teams(body: dict[str, Any]) -> list[Team] | None:
    if "team" not in body and "teams" not in body:
        return None
    named = [(slug, f"/teams/{place}") for place, slug in enumerate(body.get("teams", ()))]
    if body.get("team") is not None:
        named.append((body["team"], "/team"))
    found = [find_team(slug, pointer) for slug, pointer in named]
    return [team for team in found if team is not None]


class PublishDraft(ApiView):
    @operation(
        "Register the stream or propose the change, by the ordinary rules; the draft ends with it.",
        body=bodies.EMPTY,
        gives=PublishedBody,
        status=201,
    )
    @idempotent
    def post(self, request: Request, draft_id: UUID) -> Response:
        actor = api_actor(request)
        row = get_draft(actor, draft_id)
        self.said(request)
        if row.kind == DraftKind.REGISTRATION:
            new = new_stream(NEW_STREAM.read(row.content))
            stream = services.publish_registration(row, new, actor=actor)
            answer = stream_answer(stream, actor, status=201)
        else:
            wanted = proposal(NEW_VERSION.read(row.content))
            change = services.publish_change(row, wanted, actor=actor)
            answer = change_answer(get_change(actor, change.pk), status=201)
        noun = "stream" if row.kind == DraftKind.REGISTRATION else "change"
        answer.data = {"kind": row.kind, noun: answer.data}
        return answer
