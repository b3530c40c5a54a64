"""REST of what differs: two versions of a contract, and a candidate before it is proposed."""

from typing import Any, Final, TypedDict

from rest_framework.request import Request
from rest_framework.response import Response

from catalog.selectors.streams import compared_version, get_stream
from catalog.services.candidates import check_candidate
from catalog.version_diff import tag_of, version_diff
from governance.api.authentication import api_actor
from governance.api.base import ApiView
from governance.api.idempotency import idempotent
from portal.http import bodies
from portal.http.bodies import Body
from portal.http.conditional import etag, names_etag
from portal.http.operations import Time, operation


class DifferenceBody(TypedDict):
    """`refuses`: it breaks a direction that the stream's mode asks for."""

    path: str
    pointer_old: str | None
    pointer_new: str | None
    change: str
    breaks: list[str]
    detail: str
    example: Any
    remedy: str
    refuses: bool


class VerdictBody(TypedDict):
    mode: str
    policy: str
    compatible: bool
    undecided: bool


class FieldDiffBody(TypedDict):
    path: str
    kind: str
    types: str
    detail: str
    effect: str
    classification: str
    required: bool


VersionDiffBody = TypedDict(
    "VersionDiffBody",
    {
        "stream": str,
        "from": int,
        "to": int,
        "verdict": VerdictBody,
        "others": list[VerdictBody],
        "differences": list[DifferenceBody],
        "more_differences": int,
        "added": int,
        "removed": int,
        "changed": int,
        "unchanged": int,
        "fields": list[FieldDiffBody],
        "more_fields": int,
        "notes": list[str],
    },
)


class CandidatePolicyBody(TypedDict):
    needed_approvals: int
    needs_group: bool
    privacy: list[str]
    track: str
    enforcement: str


class CheckBody(TypedDict):
    """What the change report of a candidate would say; `not measured` where nobody measures."""

    stream: str
    computed_at: Time
    seconds: float
    compared_with: list[int]
    verdict: VerdictBody
    differences: list[dict[str, Any]]
    more_differences: int
    others: list[VerdictBody]
    fields: list[dict[str, Any]]
    consumers: list[dict[str, Any]]
    observed: list[dict[str, Any]]
    rollups: list[dict[str, Any]] | str
    funnels: list[dict[str, Any]] | str
    metrics: list[dict[str, Any]] | str
    experiments: list[dict[str, Any]] | str
    style: list[dict[str, Any]]
    privacy: list[dict[str, Any]]
    policy: CandidatePolicyBody
    policies: list[dict[str, Any]]
    replay: dict[str, Any] | str


CANDIDATE: Final = Body(required={"schema": bodies.document})


class VersionDiff(ApiView):
    @operation(
        "Two versions compared, by number, label or `latest`: differences, fields, verdicts.",
        gives=VersionDiffBody,
    )
    def get(self, request: Request, name: str, first: str, second: str) -> Response:
        stream = get_stream(api_actor(request), name)
        old, new = (compared_version(stream, said) for said in (first, second))
        headers = {"ETag": etag(tag_of(stream, old, new))}
        if names_etag(request.headers, headers["ETag"]):
            return Response(status=304, headers=headers)
        return Response(version_diff(stream, old, new), headers=headers)


class CheckCandidate(ApiView):
    @operation(
        "What proposing a schema would show, measured at once on a sample. Nothing is kept.",
        body=CANDIDATE,
        gives=CheckBody,
    )
    @idempotent
    def post(self, request: Request, name: str) -> Response:
        actor = api_actor(request)
        stream = get_stream(actor, name)
        return Response(check_candidate(stream, self.said(request)["schema"], actor=actor))
