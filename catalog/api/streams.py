"""REST of streams and their schema versions."""

from typing import Any, ClassVar, Final

from django.http import HttpResponse, QueryDict
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from catalog.api import render
from catalog.field_index import fields_of
from catalog.inference import MAX_SAMPLES, infer
from catalog.models import Stream
from catalog.schema_safety import check_schema
from catalog.selectors import search
from catalog.selectors.neighbours import neighbours_of
from catalog.selectors.streams import fields_of_version, get_stream, get_version
from catalog.services import schemas as schema_services
from catalog.services import streams as services
from catalog.style_lint import lint
from catalog.typed_code import LANGUAGES, etag_of, typed_code
from catalog.types import Classification, Enforcement, Lifecycle, Tier, Track
from governance.api.authentication import api_actor
from governance.api.idempotency import idempotent
from governance.models import Team
from portal.http import bodies, parameters
from portal.http.conditional import etag, names_etag, require_match
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
            optional={"note": bodies.text(2000), "label": bodies.text(60)},
        )
        version, is_new = schema_services.publish_schema(
            stream,
            body["schema"],
            actor=actor,
            label=body.get("label", ""),
            note=body.get("note", ""),
        )
        return Response(render.version(version), status=201 if is_new else 200)


class SchemaDetail(APIView):
    policy: ClassVar = {"GET": "stream.discover"}

    def get(self, request: Request, name: str, version: int) -> Response:
        stream = get_stream(api_actor(request), name)
        row = get_version(stream, version)
        fields = [render.field(item) for item in fields_of_version(row)[:2000]]
        return Response(
            render.version(row) | {"fields": fields}, headers={"ETag": etag(row.version)}
        )


class StreamCode(APIView):
    """Typed code of a version of a stream's contract, as text."""

    policy: ClassVar = {"GET": "stream.discover"}

    def get(self, request: Request, name: str) -> HttpResponse:
        stream = get_stream(api_actor(request), name)
        asked = parameters.read(request.query_params, _CODE)
        if "language" not in asked:
            raise BadRequestError(
                f"Say language={'|'.join(LANGUAGES)}.",
                errors=[FieldError("language", "required", "is needed")],
            )
        language = LANGUAGES[asked["language"]]
        version = get_version(stream, asked.get("version"))
        given = (version.document, stream.name, version.version, asked["language"])
        headers = {"ETag": etag(etag_of(*given)), "Cache-Control": "private, no-cache"}
        if names_etag(request.headers, headers["ETag"]):
            return HttpResponse(status=304, headers=headers)
        return HttpResponse(
            typed_code(*given),
            content_type=f"{language.media_type}; charset=utf-8",
            headers=headers,
        )


_CODE: Final[dict[str, parameters.Reader]] = {
    "language": parameters.choice(LANGUAGES),
    "version": parameters.integer(1, 1_000_000),
}


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
    """A contract from sample events, with what the house rules say about it."""

    policy: ClassVar = {"POST": "signed_in"}

    def post(self, request: Request) -> Response:
        body = bodies.read(request.data, required={"events": _events})
        found = infer(body["events"])
        findings = lint(
            fields_of(found.document),
            found.document,
            name=found.name,
            neighbours=neighbours_of(api_actor(request)),
            evidence=found.evidence,
        )
        return Response(render.inferred(found, findings))


class Lint(APIView):
    """What the house rules say about a schema, with fixes as JSON Patches; nothing is kept."""

    policy: ClassVar = {"POST": "signed_in"}

    def post(self, request: Request) -> Response:
        body = bodies.read(
            request.data,
            required={"schema": bodies.document},
            optional={"name": bodies.text(500)},
        )
        document, name = body["schema"], body.get("name", "")
        check_schema(document)
        findings = lint(
            fields_of(document),
            document,
            name=name,
            neighbours=neighbours_of(api_actor(request), but=name),
        )
        return Response({"findings": [finding.as_dict() for finding in findings]})


def _events(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("must be a list of events")
    if not 0 < len(value) <= MAX_SAMPLES:
        raise ValueError(f"must hold 1 to {MAX_SAMPLES} events")
    return value
