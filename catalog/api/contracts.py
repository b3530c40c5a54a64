"""REST of contracts on their own: inferred, judged, and as code."""

from typing import Any, ClassVar, Final

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import render
from catalog.field_index import fields_of
from catalog.inference import MAX_SAMPLES, infer
from catalog.schema_safety import check_schema
from catalog.selectors.neighbours import neighbours_of
from catalog.selectors.streams import get_stream, get_version
from catalog.style_lint import lint
from catalog.typed_code import LANGUAGES, etag_of, typed_code
from governance.api.authentication import api_actor
from governance.api.base import ApiView
from governance.api.idempotency import idempotent
from portal.http import bodies, parameters
from portal.http.bodies import Body
from portal.http.conditional import etag, names_etag
from portal.http.described import Described
from portal.http.operations import operation
from portal.kernel.errors import BadRequestError, FieldError


def _events(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("must be a list of events")
    if not 0 < len(value) <= MAX_SAMPLES:
        raise ValueError(f"must hold 1 to {MAX_SAMPLES} events")
    return value


SAMPLES: Final = Body(
    required={
        "events": Described(
            _events,
            {"type": "array", "minItems": 1, "maxItems": MAX_SAMPLES, "items": {"type": "object"}},
        )
    }
)
CANDIDATE: Final = Body(required={"schema": bodies.document}, optional={"name": bodies.text(500)})
_CODE: Final[dict[str, parameters.Reader]] = {
    "language": parameters.choice(LANGUAGES),
    "version": parameters.integer(1, 1_000_000),
}


class Infer(ApiView):
    @operation(
        "A contract inferred from sample events, and what the house rules say. Nothing is kept.",
        body=SAMPLES,
        gives=render.InferredBody,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        found = infer(self.said(request)["events"])
        findings = lint(
            fields_of(found.document),
            found.document,
            name=found.name,
            neighbours=neighbours_of(api_actor(request)),
            evidence=found.evidence,
        )
        return Response(render.inferred(found, findings))


class Lint(ApiView):
    @operation(
        "What the house rules say about a schema, with fixes as JSON Patches. Nothing is kept.",
        body=CANDIDATE,
        gives=render.FindingsBody,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        body = self.said(request)
        document, name = body["schema"], body.get("name", "")
        check_schema(document)
        findings = lint(
            fields_of(document),
            document,
            name=name,
            neighbours=neighbours_of(api_actor(request), but=name),
        )
        return Response({"findings": [finding.as_dict() for finding in findings]})


class StreamCode(ApiView):
    @operation("Typed code of a version of a stream's contract.", takes=_CODE, media="text/plain")
    def get(self, request: Request, name: str) -> HttpResponse:
        stream = get_stream(api_actor(request), name)
        if "language" not in self.asked:
            raise BadRequestError(
                f"Say language={'|'.join(LANGUAGES)}.",
                errors=[FieldError("language", "required", "is needed")],
            )
        language = LANGUAGES[self.asked["language"]]
        version = get_version(stream, self.asked.get("version"))
        given = (version.document, stream.name, version.version, self.asked["language"])
        headers = {"ETag": etag(etag_of(*given)), "Cache-Control": "private, no-cache"}
        if names_etag(request.headers, headers["ETag"]):
            return HttpResponse(status=304, headers=headers)
        return HttpResponse(
            typed_code(*given),
            content_type=f"{language.media_type}; charset=utf-8",
            headers=headers,
        )
