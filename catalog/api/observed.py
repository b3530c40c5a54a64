"""REST of who reads a stream: what consumers declared, and what their keys were seen to read."""

from typing import TypedDict

from rest_framework.request import Request
from rest_framework.response import Response

from catalog.models import ConsumerMapping
from catalog.selectors.observed import (
    FieldRead,
    Observed,
    Reader,
    all_readers,
    described_readers,
)
from catalog.selectors.streams import get_stream
from governance.api.authentication import api_actor
from governance.api.base import ApiView
from portal.http import parameters
from portal.http.operations import Time, listed, operation
from portal.http.pagination import Page, paginate


class FieldReadBody(TypedDict):
    field: str
    events_30_days: int
    last_read_at: Time


class ObservedBody(TypedDict):
    """What keys were given. `fields` is empty where there are too many to count each."""

    events_30_days: int
    last_read_at: Time
    fields: list[FieldReadBody]


class DeclaredBody(TypedDict):
    version: int | None
    fields: list[str]
    purpose: str
    since: Time


class ReaderBody(TypedDict):
    """`undeclared_fields` were given beyond those declared, `unread_fields` declared and never given."""

    consumer: str
    title: str
    kind: str
    team: str | None
    stream: str
    declared: DeclaredBody | None
    observed: ObservedBody | None
    undeclared_fields: list[str]
    unread_fields: list[str]


def reader(row: Reader) -> ReaderBody:
    return {
        "consumer": row.consumer.name,
        "title": row.consumer.title,
        "kind": row.consumer.kind,
        "team": row.consumer.team.slug if row.consumer.team else None,
        "stream": row.stream.name,
        "declared": _declared(row.mapping) if row.mapping is not None else None,
        "observed": _observed(row.observed) if row.observed is not None else None,
        "undeclared_fields": sorted(row.undeclared),
        "unread_fields": row.unread,
    }


def _declared(row: ConsumerMapping) -> DeclaredBody:
    return {
        "version": row.version,
        "fields": row.fields,
        "purpose": row.purpose,
        "since": row.since,
    }


def _observed(row: Observed) -> ObservedBody:
    return {
        "events_30_days": row.events,
        "last_read_at": row.last_at,
        "fields": [_field(one) for one in row.fields],
    }


def _field(row: FieldRead) -> FieldReadBody:
    return {"field": row.path, "events_30_days": row.events, "last_read_at": row.last_at}


class StreamConsumers(ApiView):
    @operation(
        "The consumers of a stream: what each declared, and what its keys were seen to read.",
        takes=parameters.LIST,
        gives=listed(ReaderBody),
    )
    def get(self, request: Request, name: str) -> Response:
        stream = get_stream(api_actor(request), name)
        page = paginate(
            all_readers(stream),
            order=("name",),
            limit=self.asked.get("limit"),
            cursor=self.asked.get("cursor"),
        )
        readers = Page(described_readers(stream, page.items), page.next)
        return Response(readers.as_dict(reader))
