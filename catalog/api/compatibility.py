"""REST of the compatibility engine, stateless."""

from typing import Any, ClassVar, Final, TypedDict

from rest_framework.request import Request
from rest_framework.response import Response

from catalog.compatibility.engine import MAX_COMPARED, compare
from catalog.compatibility.types import Mode, Policy
from governance.api.base import ApiView
from governance.api.idempotency import idempotent
from portal.http import bodies
from portal.http.bodies import Body
from portal.http.described import Described
from portal.http.operations import operation


class DifferenceBody(TypedDict):
    path: str
    pointer_old: str | None
    pointer_new: str | None
    change: str
    breaks: list[str]
    detail: str
    example: Any
    remedy: str
    version: int


class VerdictBody(TypedDict):
    compatible: bool
    undecided: bool
    differences: list[DifferenceBody]
    notes: list[str]


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


_SCHEMA: Final = {"type": ["object", "boolean"]}
QUESTION: Final = Body(
    required={
        "candidate": Described(_schema, _SCHEMA),
        "versions": Described(
            _versions, {"type": "array", "maxItems": MAX_COMPARED, "items": _SCHEMA}
        ),
    },
    optional={"mode": bodies.choice(tuple(Mode)), "policy": bodies.choice(tuple(Policy))},
)


class Compatibility(ApiView):
    @operation(
        "Whether a candidate may follow earlier versions, oldest first. Nothing is kept.",
        body=QUESTION,
        gives=VerdictBody,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        body = self.said(request)
        verdict = compare(
            body["candidate"],
            body["versions"],
            mode=Mode(body.get("mode", Mode.BACKWARD)),
            policy=Policy(body.get("policy", Policy.READER_WRITER)),
        )
        return Response(verdict.as_dict())
