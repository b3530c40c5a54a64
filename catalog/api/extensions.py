"""REST of longer lives: approving that a deprecated version or field ends later than was said."""

from datetime import date
from typing import Any, ClassVar, Final, TypedDict

from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import render
from catalog.api.changes import version_answer
from catalog.models import FieldExtension
from catalog.selectors.streams import find_version, get_stream
from catalog.services import lifecycle
from governance.api.authentication import api_actor
from governance.api.base import ApiView
from governance.api.idempotency import idempotent
from portal.http import bodies, parameters
from portal.http.bodies import Body
from portal.http.described import Described
from portal.http.operations import Time, listed, operation
from portal.http.pagination import paginate


def _day(value: Any) -> date:
    if not isinstance(value, str):
        raise TypeError("must be a text with a date")
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ValueError("must be a date as 2027-01-31") from None


_REASON: Final = bodies.text(lifecycle.MAX_REASON, 1)
VERSION_EXTENSION: Final = Body(required={"sunset_at": bodies.moment, "reason": _REASON})
FIELD_EXTENSION: Final = Body(
    required={
        "field": bodies.text(500, 1),
        "until": Described(_day, {"type": "string", "format": "date"}),
        "reason": _REASON,
    }
)


class FieldExtensionBody(TypedDict):
    field: str
    until: date
    reason: str
    approved_at: Time
    approved_by: str


def field_extension(row: FieldExtension) -> FieldExtensionBody:
    return {
        "field": row.path,
        "until": row.until_on,
        "reason": row.reason,
        "approved_at": row.approved_at,
        "approved_by": row.approved_by,
    }


class ExtendVersion(ApiView):
    @operation(
        "Approve that a deprecated version ends later than was said.",
        body=VERSION_EXTENSION,
        gives=render.SchemaBody,
    )
    @idempotent
    def post(self, request: Request, name: str, version: str) -> Response:
        actor = api_actor(request)
        row = find_version(get_stream(actor, name), version)
        return version_answer(lifecycle.extend_version(row, actor=actor, **self.said(request)))


class FieldExtensions(ApiView):
    @operation(
        "The fields of a stream that may be sent longer than their contract says.",
        takes=parameters.LIST,
        gives=listed(FieldExtensionBody),
    )
    def get(self, request: Request, name: str) -> Response:
        page = paginate(
            get_stream(api_actor(request), name).field_extensions.all(),
            order=("path",),
            limit=self.asked.get("limit"),
            cursor=self.asked.get("cursor"),
        )
        return Response(page.as_dict(field_extension))

    @operation(
        "Approve that a deprecated field may be sent beyond its `x-sunset`.",
        body=FIELD_EXTENSION,
        gives=FieldExtensionBody,
    )
    @idempotent
    def post(self, request: Request, name: str) -> Response:
        actor = api_actor(request)
        stream = get_stream(actor, name)
        body = self.said(request)
        row = lifecycle.extend_field(
            stream, body["field"], actor=actor, until_on=body["until"], reason=body["reason"]
        )
        return Response(field_extension(row))
