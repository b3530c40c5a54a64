"""REST of streams and their schema versions."""

from typing import Any, Final

from rest_framework.request import Request
from rest_framework.response import Response

from catalog import naming
from catalog.api import render
from catalog.api.changes import change_answer, version_tag
from catalog.api.references import find_team
from catalog.models import Stream
from catalog.selectors import search
from catalog.selectors.changes import get_change
from catalog.selectors.streams import (
    fields_of_version,
    find_version,
    get_stream,
    is_following,
    successor_of,
)
from catalog.services import streams as services
from catalog.services.changes import MAX_COMMENT, Proposal, propose_change
from catalog.types import (
    Classification,
    CompatibilityMode,
    CompatibilityPolicy,
    Enforcement,
    ErasedSubjects,
    Lifecycle,
    SubjectPrivacy,
    Tier,
    Track,
)
from governance.api.authentication import api_actor
from governance.api.base import ApiView
from governance.api.idempotency import idempotent
from portal.http import bodies, parameters
from portal.http.bodies import Body
from portal.http.conditional import etag, require_match
from portal.http.described import Described
from portal.http.operations import listed, operation
from portal.http.pagination import paginate
from portal.kernel.actor import Actor

SEARCH: Final[dict[str, parameters.Reader]] = {
    "q": parameters.text(200),
    "domain": parameters.any_of(),
    "owner": parameters.any_of(),
    "tier": parameters.any_of(Tier.values),
    "track": parameters.any_of(Track.values),
    "lifecycle": parameters.any_of(Lifecycle.values),
    "classification": parameters.any_of(Classification.values),
    "tag": parameters.text(60),
    # Routes are read when all apps are ready, so the facets of apps above are known here.
    **{name: parameters.any_of(facet.values) for name, facet in search.outside_facets().items()},
    "field": parameters.text(500),
    "ordering": parameters.choice(search.ORDERINGS),
    **parameters.LIST,
}
_FACTS: Final[dict[str, bodies.Reader]] = {
    "description": bodies.text(services.MAX_DESCRIPTION),
    "title": bodies.text(200),
    "tier": bodies.choice(Tier.values),
    "classification": bodies.choice(Classification.values),
    "subject_meaning": bodies.text(1000),
    "subject_classification": bodies.choice(Classification.values),
    "subject_privacy": bodies.choice(SubjectPrivacy.values),
    "minimise": bodies.boolean,
    "erased_subjects": bodies.choice(ErasedSubjects.values),
    "tags": bodies.texts(services.MAX_TAGS, 60),
    "enforcement": bodies.choice(Enforcement.values),
    "late_seconds": bodies.integer(60, 366 * 86_400),
    "ahead_seconds": bodies.integer(0, 30 * 86_400),
    "retention_days": bodies.integer(1, 3_653),
    "archive": bodies.boolean,
    "is_state": bodies.boolean,
    "state_key": bodies.text(255),
    "cadence_seconds": bodies.nullable(bodies.integer(1, 366 * 86_400)),
    "events_per_second": bodies.nullable(bodies.integer(1, services.MAX_EVENTS_PER_SECOND)),
    "restricted": bodies.boolean,
}
NEW_STREAM: Final = Body(
    required={
        "name": bodies.name(naming.STREAM_NAME.pattern, naming.MAX_NAME),
        "schema": bodies.document,
    },
    optional={**_FACTS, "owner": bodies.nullable(bodies.text(60)), "note": bodies.text(2000)},
)
COMPATIBILITY: Final = Body(
    optional={
        "mode": bodies.choice(tuple(CompatibilityMode.values)),
        "policy": bodies.choice(tuple(CompatibilityPolicy.values)),
    }
)
STREAM_CHANGES: Final = Body(
    optional={
        **_FACTS,
        "owner": bodies.nullable(bodies.text(60)),
        "compatibility": Described(COMPATIBILITY.read, COMPATIBILITY.schema),
    }
)
NEW_VERSION: Final = Body(
    required={"schema": bodies.document},
    optional={
        "summary": bodies.text(200),
        "note": bodies.text(2000),
        "reason": bodies.text(MAX_COMMENT),
        "label": bodies.text(60),
        "opens_group": bodies.boolean,
    },
)
_PLAIN: Final = (
    "description", "title", "tier", "classification", "subject_meaning", "subject_classification",
    "tags", "note",
)  # fmt: skip
_EXTRA: Final = (
    "enforcement", "late_seconds", "ahead_seconds", "retention_days", "archive", "is_state",
    "state_key", "cadence_seconds", "events_per_second", "restricted", "subject_privacy",
    "minimise", "erased_subjects",
)  # fmt: skip


def question_of(asked: dict[str, Any]) -> search.Question:
    """The question that read parameters ask."""
    return search.Question(
        text=asked.get("q", ""),
        facets={name: asked[name] for name in search.FACETS if name in asked},
        tag=asked.get("tag", ""),
        field_name=asked.get("field", ""),
        outside={name: asked[name] for name in search.outside_facets() if name in asked},
    )


def ordering_of(asked: dict[str, Any]) -> tuple[str, ...]:
    default = "relevance" if asked.get("q") else "name"
    return search.ORDERINGS[asked.get("ordering", default)]


class Streams(ApiView):
    @operation("Find streams.", takes=SEARCH, gives=listed(render.StreamBody))
    def get(self, request: Request) -> Response:
        asked = self.asked
        found = search.find_streams(api_actor(request), question_of(asked), with_facets=False)
        page = paginate(
            found.rows,
            order=ordering_of(asked),
            limit=asked.get("limit"),
            cursor=asked.get("cursor"),
        )
        return Response(page.as_dict(render.stream))

    @operation(
        "Register a stream with its first schema version, active at once.",
        body=NEW_STREAM,
        gives=render.StreamBody,
        status=201,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        actor = api_actor(request)
        stream = services.register_stream(new_stream(self.said(request)), actor=actor)
        return stream_answer(stream, actor, status=201)


def new_stream(body: dict[str, Any]) -> services.NewStream:
    """What a body of NEW_STREAM asks to register."""
    return services.NewStream(
        name=body["name"],
        document=body["schema"],
        owner_team=find_team(body.get("owner")),
        extra={name: body[name] for name in _EXTRA if name in body},
        **{name: body[name] for name in _PLAIN if name in body},
    )


def stream_answer(stream: Stream, actor: Actor, *, status: int = 200) -> Response:
    """A stream where it stands alone: with its tags, aliases and how it ends."""
    tags = list(stream.tags.order_by("slug").values_list("slug", flat=True))
    headers = {"ETag": etag(stream.revision)}
    if status == 201:
        headers["Location"] = f"/api/v1/streams/{stream.name}"
    body = {
        **render.stream(stream, tags=tags),
        **render.ending(stream, successor_of(actor, stream)),
    }
    return Response(body, status=status, headers=headers)


class StreamDetail(ApiView):
    @operation("One stream, by its name or an alias.", gives=render.StreamBody)
    def get(self, request: Request, name: str) -> Response:
        actor = api_actor(request)
        return stream_answer(get_stream(actor, name), actor)

    @operation("Change facts of a stream.", body=STREAM_CHANGES, gives=render.StreamBody)
    def patch(self, request: Request, name: str) -> Response:
        actor = api_actor(request)
        stream = get_stream(actor, name)
        require_match(request.headers, etag(stream.revision))
        changes = self.said(request)
        if "owner" in changes:
            changes["owner_team"] = find_team(changes.pop("owner"))
        compatibility = changes.pop("compatibility", {})
        changes |= {f"compatibility_{part}": value for part, value in compatibility.items()}
        stream = services.change_stream(stream, changes, actor=actor, revision=stream.revision)
        return stream_answer(get_stream(actor, stream.name), actor)


class Schemas(ApiView):
    @operation(
        "The versions of a stream's contract, the newest first.",
        takes=parameters.LIST,
        gives=listed(render.SchemaVersionBody),
    )
    def get(self, request: Request, name: str) -> Response:
        stream = get_stream(api_actor(request), name)
        page = paginate(
            stream.versions.select_related("stream").defer("document"),
            order=("-version",),
            limit=self.asked.get("limit"),
            cursor=self.asked.get("cursor"),
        )
        return Response(page.as_dict(render.version))

    @operation(
        "Propose the next version, breaking or not: a change, which workers measure.",
        body=NEW_VERSION,
        gives=render.ChangeDetailBody,
        status=201,
    )
    @idempotent
    def post(self, request: Request, name: str) -> Response:
        actor = api_actor(request)
        stream = get_stream(actor, name)
        change = propose_change(stream, proposal(self.said(request)), actor=actor)
        return change_answer(get_change(actor, change.pk), status=201)


def proposal(body: dict[str, Any]) -> Proposal:
    """What a body of NEW_VERSION proposes."""
    return Proposal(
        body["schema"],
        label=body.get("label", ""),
        summary=body.get("summary", body.get("note", ""))[:200],
        reason=body.get("reason", ""),
        opens_group=body.get("opens_group", False),
    )


class SchemaDetail(ApiView):
    @operation(
        "One version, by its number or the label it came with, with its fields.",
        gives=render.SchemaDetailBody,
    )
    def get(self, request: Request, name: str, version: str) -> Response:
        row = find_version(get_stream(api_actor(request), name), version)
        fields = [render.field(item) for item in fields_of_version(row)[:2000]]
        return Response(
            {**render.schema(row), "fields": fields}, headers={"ETag": version_tag(row)}
        )


class FollowStream(ApiView):
    @operation("Whether you follow the stream.", gives=render.FollowBody)
    def get(self, request: Request, name: str) -> Response:
        actor = api_actor(request)
        return _following(is_following(actor, get_stream(actor, name)))

    @operation("Follow the stream; again changes nothing.", gives=render.FollowBody)
    @idempotent
    def post(self, request: Request, name: str) -> Response:
        bodies.EMPTY.read(request.data)
        actor = api_actor(request)
        services.follow(get_stream(actor, name), actor=actor)
        return _following(True)

    @operation("Follow it no more.", gives=render.FollowBody)
    def delete(self, request: Request, name: str) -> Response:
        actor = api_actor(request)
        stream = get_stream(actor, name)
        require_match(request.headers, _follow_tag(is_following(actor, stream)))
        services.unfollow(stream, actor=actor)
        return _following(False)


def _following(is_so: bool) -> Response:
    return Response({"following": is_so}, headers={"ETag": _follow_tag(is_so)})


def _follow_tag(is_so: bool) -> str:
    return etag("following" if is_so else "not-following")
