"""REST of streams and their schema versions."""

from typing import Any, ClassVar, Final

from django.http import QueryDict
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from catalog.api import render
from catalog.api.changes import answer
from catalog.compatibility.engine import MAX_COMPARED, compare
from catalog.compatibility.types import Mode, Policy
from catalog.inference import MAX_SAMPLES, infer
from catalog.models import Stream
from catalog.selectors import search
from catalog.selectors.changes import get_change
from catalog.selectors.streams import fields_of_version, get_stream, get_version
from catalog.services import streams as services
from catalog.services.changes import MAX_COMMENT, Proposal, propose_change
from catalog.types import (
    Classification,
    CompatibilityMode,
    CompatibilityPolicy,
    Enforcement,
    Lifecycle,
    Tier,
    Track,
)
from governance.api.authentication import api_actor
from governance.api.idempotency import idempotent
from governance.models import Team
from portal.http import bodies, parameters
from portal.http.conditional import etag, require_match
from portal.http.pagination import paginate
from portal.kernel.errors import BadRequestError, FieldError, InvalidError


def _any_of(values: list[str] | None = None) -> parameters.Reader:
    """One value or several joined by commas."""
    one = parameters.choice(values) if values else parameters.text(120)
    return lambda raw: frozenset(one(part) for part in raw.split(",") if part)


SEARCH: Final[dict[str, parameters.Reader]] = {
    "q": parameters.text(200),
    "domain": _any_of(),
    "owner": _any_of(),
    "tier": _any_of(list(Tier.values)),
    "track": _any_of(list(Track.values)),
    "lifecycle": _any_of(list(Lifecycle.values)),
    "classification": _any_of(list(Classification.values)),
    "tag": parameters.text(60),
    "field": parameters.text(500),
    "ordering": parameters.choice(search.ORDERINGS),
    **parameters.LIST,
}


def question_of(asked: dict[str, Any]) -> search.Question:
    """The question that read parameters ask."""
    return search.Question(
        text=asked.get("q", ""),
        facets={name: asked[name] for name in search.FACETS if name in asked},
        tag=asked.get("tag", ""),
        field_name=asked.get("field", ""),
        outside={name: asked[name] for name in search.outside_facets() if name in asked},
    )


def read_question(query: QueryDict) -> dict[str, Any]:
    outside = {name: _any_of(list(facet.values)) for name, facet in search.outside_facets().items()}
    return parameters.read(query, {**SEARCH, **outside})


def ordering_of(asked: dict[str, Any]) -> tuple[str, ...]:
    default = "relevance" if asked.get("q") else "name"
    return search.ORDERINGS[asked.get("ordering", default)]


def find_team(slug: str, pointer: str = "/owner") -> Team:
    found = Team.objects.filter(slug=slug).first()
    if found is None:
        raise InvalidError(
            "The team is not known.",
            errors=[FieldError(pointer, "unknown", "give the slug of a team")],
        )
    return found


class Streams(APIView):
    policy: ClassVar = {"GET": "stream.discover", "POST": "stream.register"}

    def get(self, request: Request) -> Response:
        asked = read_question(request.query_params)
        found = search.find_streams(api_actor(request), question_of(asked), with_facets=False)
        page = paginate(
            found.rows,
            order=ordering_of(asked),
            limit=asked.get("limit"),
            cursor=asked.get("cursor"),
        )
        return Response(page.as_dict(render.stream))

    @idempotent
    def post(self, request: Request) -> Response:
        body = bodies.read(
            request.data,
            required={"name": bodies.text(500), "schema": bodies.document},
            optional={
                "description": bodies.text(services.MAX_DESCRIPTION),
                "title": bodies.text(200),
                "owner": bodies.text(60),
                "tier": bodies.text(2),
                "classification": bodies.text(10),
                "subject_meaning": bodies.text(1000),
                "subject_classification": bodies.text(10),
                "tags": bodies.texts(services.MAX_TAGS, 60),
                "note": bodies.text(2000),
                "enforcement": bodies.choice(tuple(Enforcement.values)),
                "late_seconds": bodies.integer(60, 366 * 86_400),
                "cadence_seconds": bodies.nullable(bodies.integer(1, 366 * 86_400)),
                "restricted": bodies.boolean,
            },
        )
        names = ("description", "title", "tier", "classification", "subject_meaning")
        plain = {name: body[name] for name in (*names, "subject_classification", "tags", "note")
                 if name in body}  # fmt: skip
        extra = ("enforcement", "late_seconds", "cadence_seconds", "restricted")
        stream = services.register_stream(
            services.NewStream(
                name=body["name"],
                document=body["schema"],
                owner_team=find_team(body["owner"]) if body.get("owner") else None,
                extra={name: body[name] for name in extra if name in body},
                **plain,
            ),
            actor=api_actor(request),
        )
        return _answer(stream, status=201)


def _answer(stream: Stream, *, status: int = 200) -> Response:
    tags = list(stream.tags.order_by("slug").values_list("slug", flat=True))
    return Response(
        render.stream(stream, tags=tags),
        status=status,
        headers={"ETag": etag(stream.revision), "Location": f"/api/v1/streams/{stream.name}"}
        if status == 201
        else {"ETag": etag(stream.revision)},
    )


class StreamDetail(APIView):
    policy: ClassVar = {"GET": "stream.discover", "PATCH": "stream.edit"}

    def get(self, request: Request, name: str) -> Response:
        parameters.read(request.query_params, {})
        return _answer(get_stream(api_actor(request), name))

    def patch(self, request: Request, name: str) -> Response:
        actor = api_actor(request)
        stream = get_stream(actor, name)
        require_match(request.headers, etag(stream.revision))
        if not isinstance(request.data, dict):
            raise BadRequestError("The body must be a JSON object.")
        changes = dict(request.data)
        if "compatibility" in changes:
            asked = bodies.read(
                changes.pop("compatibility"),
                optional={
                    "mode": bodies.choice(tuple(CompatibilityMode.values)),
                    "policy": bodies.choice(tuple(CompatibilityPolicy.values)),
                },
            )
            changes |= {f"compatibility_{name}": value for name, value in asked.items()}
        tags = changes.pop("tags", None)
        if "owner" in changes:
            owner = changes.pop("owner")
            changes["owner_team"] = find_team(str(owner)) if owner is not None else None
        if changes:
            stream = services.change_stream(stream, changes, actor=actor, revision=stream.revision)
        if tags is not None:
            stream = services.set_tags(
                stream, bodies.read({"tags": tags}, optional=_TAGS)["tags"], actor=actor
            )
        return _answer(get_stream(actor, stream.name))


_TAGS: Final = {"tags": bodies.texts(services.MAX_TAGS, 60)}


class Schemas(APIView):
    policy: ClassVar = {"GET": "stream.discover", "POST": "stream.edit"}

    def get(self, request: Request, name: str) -> Response:
        asked = parameters.read(request.query_params, parameters.LIST)
        stream = get_stream(api_actor(request), name)
        page = paginate(
            stream.versions.select_related("stream").defer("document"),
            order=("-version",),
            limit=asked.get("limit"),
            cursor=asked.get("cursor"),
        )
        return Response(page.as_dict(lambda row: render.version(row, with_document=False)))

    @idempotent
    def post(self, request: Request, name: str) -> Response:
        actor = api_actor(request)
        stream = get_stream(actor, name)
        body = bodies.read(
            request.data,
            required={"schema": bodies.document},
            optional={
                "summary": bodies.text(200),
                "note": bodies.text(2000),
                "reason": bodies.text(MAX_COMMENT),
                "label": bodies.text(60),
                "opens_group": bodies.boolean,
            },
        )
        change = propose_change(
            stream,
            Proposal(
                body["schema"],
                label=body.get("label", ""),
                summary=body.get("summary", body.get("note", ""))[:200],
                reason=body.get("reason", ""),
                opens_group=body.get("opens_group", False),
            ),
            actor=actor,
        )
        return answer(get_change(actor, change.pk), status=201)


class SchemaDetail(APIView):
    policy: ClassVar = {"GET": "stream.discover"}

    def get(self, request: Request, name: str, version: int) -> Response:
        stream = get_stream(api_actor(request), name)
        row = get_version(stream, version)
        fields = [render.field(item) for item in fields_of_version(row)[:2000]]
        return Response(
            render.version(row) | {"fields": fields}, headers={"ETag": etag(row.version)}
        )


class FollowStream(APIView):
    policy: ClassVar = {"POST": "stream.discover", "DELETE": "stream.discover"}

    def post(self, request: Request, name: str) -> Response:
        actor = api_actor(request)
        services.follow(get_stream(actor, name), actor=actor)
        return Response({"following": True})

    def delete(self, request: Request, name: str) -> Response:
        actor = api_actor(request)
        services.unfollow(get_stream(actor, name), actor=actor)
        return Response({"following": False})


class Infer(APIView):
    policy: ClassVar = {"POST": "signed_in"}

    def post(self, request: Request) -> Response:
        body = bodies.read(request.data, required={"events": _events})
        return Response(render.inferred(infer(body["events"])))


class Compatibility(APIView):
    """Whether a candidate may follow earlier versions, oldest first; nothing is kept."""

    policy: ClassVar = {"POST": "signed_in"}

    def post(self, request: Request) -> Response:
        parameters.read(request.query_params, {})
        body = bodies.read(
            request.data,
            required={"candidate": _schema, "versions": _versions},
            optional={
                "mode": bodies.choice(tuple(Mode)),
                "policy": bodies.choice(tuple(Policy)),
            },
        )
        verdict = compare(
            body["candidate"],
            body["versions"],
            mode=Mode(body.get("mode", Mode.BACKWARD)),
            policy=Policy(body.get("policy", Policy.READER_WRITER)),
        )
        return Response(verdict.as_dict())


def _schema(value: Any) -> dict[str, Any] | bool:
    if not isinstance(value, dict | bool):
        raise TypeError("must be a JSON Schema: an object, true or false")
    return value


def _versions(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("must be a list of schemas, oldest first")
    if len(value) > MAX_COMPARED:
        raise ValueError(f"may hold {MAX_COMPARED} schemas at most")
    return [_schema(one) for one in value]


def _events(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("must be a list of events")
    if not 0 < len(value) <= MAX_SAMPLES:
        raise ValueError(f"must hold 1 to {MAX_SAMPLES} events")
    return value
