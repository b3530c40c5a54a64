"""REST of storage: sizes, what goes when, the archive and restores out of it."""

from datetime import date
from typing import Any, ClassVar, Final, TypedDict
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from catalog.selectors.streams import get_stream
from governance.api.authentication import api_actor
from governance.api.base import ApiView
from governance.api.idempotency import idempotent
from ingest.models import ArchivedPart, Restore, StorageRun
from ingest.selectors import storage as selectors
from ingest.services import archives
from ingest.services.storage import KEEPERS, start_keeper
from portal.http import bodies, parameters
from portal.http.bodies import Body
from portal.http.conditional import etag, require_match
from portal.http.described import Described
from portal.http.operations import Time, listed, operation
from portal.http.pagination import paginate


def _date(value: Any) -> date:
    if not isinstance(value, str):
        raise TypeError("must be a date as 2026-11-26")
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ValueError("must be a date as 2026-11-26") from None


_DATE: Final = Described(_date, {"type": "string", "format": "date"})
RUN: Final = Body(required={"kind": bodies.choice(KEEPERS)})
RESTORE: Final = Body(
    required={"since": _DATE, "until": _DATE},
    optional={"days": bodies.integer(1, archives.MAX_KEPT_DAYS)},
)


class TableBody(TypedDict):
    """`per_day_bytes` is the mean of the last seven whole days; `expected_bytes` what it grows to."""

    name: str
    size_bytes: int
    days: int
    oldest: date | None
    newest: date | None
    days_ahead: int
    per_day_bytes: int
    expected_bytes: int


class DayBody(TypedDict):
    day: date
    production_bytes: int
    experimental_bytes: int
    dead_letters_bytes: int


class GoingBody(TypedDict):
    """What goes on a day that is to come; what is overdue counts for today."""

    on: date
    events: int
    size_bytes: int


class RunBody(TypedDict):
    """The newest run of a keeper; `started_at` is null before its first. `result` is what it
    counted, `failure` empty when it went well."""

    kind: str
    does: str
    started_at: Time | None
    finished_at: Time | None
    result: dict[str, Any]
    failure: str


class StartedBody(TypedDict):
    kind: str


class StorageBody(TypedDict):
    """`days` are the last 30, the newest first; `going` is what goes on each of the next days."""

    size_bytes: int
    fewest_days_ahead: int
    tables: list[TableBody]
    days: list[DayBody]
    going: list[GoingBody]
    runs: list[RunBody]
    archive_possible: bool


class ShareBody(TypedDict):
    """One stream's part of the log as last counted; `size_bytes` is its share by events."""

    stream: str
    events: int
    size_bytes: int
    oldest: date
    newest: date
    retention_days: int


class PartBody(TypedDict):
    """One verified file. `path` lies below the archive's root; `versions` are those of its events,
    `first_at` and `last_at` the earliest and latest of their own times."""

    stream: str
    day: date
    path: str
    events: int
    size_bytes: int
    sha256: str
    versions: list[int]
    first_at: Time
    last_at: Time
    created_at: Time


class RestoreBody(TypedDict):
    """`state` is loading, ready or failed; read it as `…/events?restored=<id>` until `expires_at`."""

    id: UUID
    stream: str
    since: date
    until: date
    state: str
    said: str
    events: int
    created_at: Time
    created_by: str
    expires_at: Time


class RetentionBody(TypedDict):
    """`going` events (counted to 200,000) are older than `asked_days`. `field_days` are the lives that
    its contracts give to fields."""

    stream: str
    retention_days: int
    archive: bool
    archive_possible: bool
    archived_days: int
    is_state: bool
    state_key: str
    field_days: list[int]
    asked_days: int
    going: int
    going_is_bounded: bool


def _table(row: selectors.Table) -> TableBody:
    return {
        "name": row.name,
        "size_bytes": row.size_bytes,
        "days": row.days,
        "oldest": row.oldest_on,
        "newest": row.newest_on,
        "days_ahead": row.days_ahead,
        "per_day_bytes": row.per_day_bytes,
        "expected_bytes": row.expected_bytes,
    }


def _day(row: selectors.Day) -> DayBody:
    return {
        "day": row.day,
        "production_bytes": row.sizes["production"],
        "experimental_bytes": row.sizes["experimental"],
        "dead_letters_bytes": row.sizes["dead_letters"],
    }


def _run(kind: str, does: str, row: StorageRun | None) -> RunBody:
    return {
        "kind": kind,
        "does": does,
        "started_at": row.started_at if row is not None else None,
        "finished_at": row.finished_at if row is not None else None,
        "result": {name: value for name, value in row.result.items() if name != "going"}
        if row is not None
        else {},
        "failure": row.failure if row is not None else "",
    }


def _share(row: selectors.Share) -> ShareBody:
    return {
        "stream": row.stream.name,
        "events": row.events,
        "size_bytes": row.size_bytes,
        "oldest": row.oldest_on,
        "newest": row.newest_on,
        "retention_days": row.stream.retention_days,
    }


def _part(row: ArchivedPart) -> PartBody:
    return {
        "stream": row.stream_name,
        "day": row.day,
        "path": row.path,
        "events": row.events,
        "size_bytes": row.size_bytes,
        "sha256": row.sha256,
        "versions": row.versions,
        "first_at": row.first_at,
        "last_at": row.last_at,
        "created_at": row.created_at,
    }


def _restore(row: Restore, name: str) -> RestoreBody:
    return {
        "id": row.pk,
        "stream": name,
        "since": row.since,
        "until": row.until,
        "state": row.state,
        "said": row.said,
        "events": row.events,
        "created_at": row.created_at,
        "created_by": row.created_by,
        "expires_at": row.expires_at,
    }


def _tag(row: Restore) -> str:
    """When it ends; how far it is loaded changes by itself."""
    return etag(f"{row.pk}-{row.expires_at.timestamp()}")


class Storage(ApiView):
    @operation(
        "What the log takes up by table and day, days ahead, what goes when, the last runs.",
        gives=StorageBody,
    )
    def get(self, request: Request) -> Response:
        found = selectors.storage(api_actor(request))
        body: StorageBody = {
            "size_bytes": found.total_bytes,
            "fewest_days_ahead": min(table.days_ahead for table in found.tables),
            "tables": [_table(row) for row in found.tables],
            "days": [_day(row) for row in found.days],
            "going": [
                {
                    "on": date.fromisoformat(row["on"]),
                    "events": row["events"],
                    "size_bytes": row["size_bytes"],
                }
                for row in found.going
            ],
            "runs": [_run(*row) for row in selectors.last_runs()],
            "archive_possible": found.is_archive_possible,
        }
        return Response(body)


class StorageStreams(ApiView):
    @operation(
        "What each stream takes up, the largest first, as last counted.",
        takes=parameters.LIST,
        gives=listed(ShareBody),
    )
    def get(self, request: Request) -> Response:
        page = selectors.largest_streams(
            api_actor(request), limit=self.asked.get("limit"), cursor=self.asked.get("cursor")
        )
        return Response(page.as_dict(_share))


class StorageArchives(ApiView):
    @operation(
        "Files of the archive, the newest day first.",
        takes={"stream": parameters.text(255), **parameters.LIST},
        gives=listed(PartBody),
    )
    def get(self, request: Request) -> Response:
        actor, asked = api_actor(request), self.asked
        selectors.require_reader(actor)
        stream = get_stream(actor, asked["stream"]) if "stream" in asked else None
        page = paginate(
            selectors.archived_parts(actor, stream=stream),
            order=("-day", "id"),
            limit=asked.get("limit"),
            cursor=asked.get("cursor"),
        )
        return Response(page.as_dict(_part))


class StorageRuns(ApiView):
    @operation("Have a keeper of storage run now.", body=RUN, gives=StartedBody, status=202)
    @idempotent
    def post(self, request: Request) -> Response:
        kind = self.said(request)["kind"]
        start_keeper(kind, actor=api_actor(request))
        return Response({"kind": kind}, status=202)


class StreamRetention(ApiView):
    @operation(
        "How long a stream is kept, and how many events would go if it were kept `days`. "
        "It is changed with the stream itself.",
        takes={"days": parameters.integer(1, 3_653)},
        gives=RetentionBody,
    )
    def get(self, request: Request, name: str) -> Response:
        stream = get_stream(api_actor(request), name)
        found = selectors.kept(stream, days=self.asked.get("days"))
        body: RetentionBody = {
            "stream": stream.name,
            "retention_days": stream.retention_days,
            "archive": stream.archive,
            "archive_possible": found.is_archive_possible,
            "archived_days": found.archived_days,
            "is_state": stream.is_state,
            "state_key": stream.state_key,
            "field_days": list(found.field_days),
            "asked_days": found.asked_days,
            "going": found.going,
            "going_is_bounded": found.is_bounded,
        }
        return Response(body)


class StreamRestores(ApiView):
    @operation("Restores that can be read still, the newest first.", gives=listed(RestoreBody))
    def get(self, request: Request, name: str) -> Response:
        stream = get_stream(api_actor(request), name)
        items = [_restore(row, stream.name) for row in selectors.restores_of(stream)]
        return Response({"items": items, "next": None})

    @operation(
        "Load archived days (both belong to it) to be read for `days` (7); workers do it.",
        body=RESTORE,
        gives=RestoreBody,
        status=201,
    )
    @idempotent
    def post(self, request: Request, name: str) -> Response:
        actor = api_actor(request)
        stream = get_stream(actor, name)
        made = archives.start_restore(stream, actor=actor, **self.said(request))
        address = f"/api/v1/streams/{stream.name}/restores/{made.pk}"
        return Response(_restore(made, stream.name), status=201, headers={"Location": address})


class StreamRestore(ApiView):
    @operation("One restore.", gives=RestoreBody)
    def get(self, request: Request, name: str, restore_id: UUID) -> Response:
        stream = get_stream(api_actor(request), name)
        found = selectors.get_restore(stream, restore_id)
        return Response(_restore(found, stream.name), headers={"ETag": _tag(found)})

    @operation("End it: what was loaded is not read any more, and goes.", status=204)
    def delete(self, request: Request, name: str, restore_id: UUID) -> Response:
        actor = api_actor(request)
        stream = get_stream(actor, name)
        require_match(request.headers, _tag(selectors.get_restore(stream, restore_id)))
        archives.end_restore(stream, restore_id, actor=actor)
        return Response(status=204)
