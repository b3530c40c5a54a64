"""The door of CloudEvents and lines: `POST /v1/events`."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import orjson
from django.conf import settings

from ingest.doors import door
from ingest.doors.door import Door, Head, Reply, Visit
from ingest.doors.limits import quotas
from ingest.judging import answers, pipeline
from ingest.judging.admission import Publisher
from ingest.log.group import Item
from ingest.protocols import cloudevents
from ingest.protocols.cloudevents import Mode, Room, Run
from ingest.types import Status
from portal.http.problem import MEDIA_TYPE as PROBLEM_TYPE
from portal.http.problem import document
from portal.kernel.errors import BadRequestError, PortalError

_HEADER_NAME: Final = re.compile(
    r"(?:ce-[a-z0-9-]{1,80}|authorization|content-type|"
    r"content-encoding|traceparent|tracestate|x-request-id)"
)
_ACCEPTED: Final = orjson.dumps(answers.answer([Item("", b"")]))
_BOOLEANS: Final = {"true": True, "false": False}


@dataclass(slots=True)
class EventsVisit(Visit):
    """A request whose events come in one of the modes of CloudEvents over HTTP."""

    mode: Mode
    name_all: bool
    ce_headers: tuple[tuple[str, str], ...]

    def runs(self, body: bytes, room: Room) -> Iterator[Run]:
        if self.mode is Mode.BATCH:
            return cloudevents.runs_of_batch(body, room)
        if self.mode is Mode.NDJSON:
            return cloudevents.runs_of_lines(body, room)
        if self.mode is Mode.STRUCTURED:
            return iter((cloudevents.run_of_structured(body),))
        return iter(((cloudevents.read_binary(self.ce_headers, self.content_type, body),),))

    @property
    def is_single(self) -> bool:
        return self.mode is Mode.STRUCTURED and not self.is_rehearsal

    def reply(self, batch: pipeline.Batch) -> Reply:
        """A 202 with the outcome, or a 422: a problem document that carries the same fields.

        What the events name and is deprecated stands in `Deprecation`, `Sunset` and `Link`.
        """
        if batch.ending is not None:
            self.headers.update(batch.ending.headers(settings.PUBLIC_URL))
        quotas.charge(self.publisher, batch.items, batch.streams.values())
        return self._reply(batch.items)

    def reply_to(self, item: Item) -> Reply:
        """As `reply`, for what names nothing that is deprecated."""
        if item.status is Status.ACCEPTED and not (self.name_all or item.errors or item.note):
            self.headers["Content-Type"] = "application/json"
            return Reply(202, self.headers, _ACCEPTED)
        return self._reply([item])

    def _reply(self, items: Sequence[Item]) -> Reply:
        headers = self.headers
        outcome = answers.answer(items, name_all=self.name_all)
        status = answers.status_of(items)
        if status == 202:
            headers["Content-Type"] = "application/json"
            return Reply(202, headers, orjson.dumps(outcome))
        headers["Content-Type"] = PROBLEM_TYPE
        problem = {
            "type": "/problems/all_dead_lettered",
            "title": "Every event was refused",
            "status": 422,
            "code": "all_dead_lettered",
            "detail": "Every event was refused and kept as a dead letter; `results` says why.",
            "instance": self.request_id,
            "errors": [],
            **outcome,
        }
        return Reply(422, headers, orjson.dumps(problem))


class EventsDoor(Door):
    paths: ClassVar[frozenset[str]] = frozenset({"/v1/events", "/v1/events/"})

    def credential(self, head: Head) -> str | None:
        """That of `Authorization`, None without. Raises MethodNotAllowedError, and BadRequestError
        for a parameter that is not known."""
        door.post_only(head)
        _flags(head.query)
        return door.header_credential(head)

    def enter(
        self, head: Head, publisher: Publisher | None, *, request_id: str, headers: dict[str, str]
    ) -> EventsVisit:
        """As `Door.enter`: a media type that names no mode is a 415, an unknown parameter a 400."""
        publisher = door.authorize(head, publisher, headers)
        mode = cloudevents.choose_mode(head.get("content-type"), head.fields)
        encoding = door.encoding_of(head)
        ticket = door.admit(self, head, publisher, encoding, headers)
        is_rehearsal, name_all = _flags(head.query)
        return EventsVisit(
            publisher,
            encoding,
            head.get("content-type"),
            pipeline.now_us(),
            request_id,
            headers,
            ticket,
            is_rehearsal,
            mode,
            name_all,
            head.headers if mode is Mode.BINARY else (),
        )

    def refuse(
        self, head: Head, error: PortalError, *, request_id: str, headers: dict[str, str]
    ) -> Reply:
        merged = {**headers, **error.headers, "Content-Type": PROBLEM_TYPE}
        return Reply(error.status, merged, orjson.dumps(document(error, request_id=request_id)))

    def preflight(self, head: Head, origins: frozenset[str], headers: dict[str, str]) -> Reply:
        """Browsers of an origin that some browser-safe key allows may POST."""
        headers["Allow"] = self.methods
        headers["Vary"] = "Origin"
        origin = head.get("origin")
        if origin and origin in origins:
            asked = [name.strip() for name in head.get("access-control-request-headers").split(",")]
            allowed = [name for name in asked if _HEADER_NAME.fullmatch(name.lower())]
            headers.update(door.cors(origin))
            headers["Access-Control-Allow-Methods"] = "POST"
            headers["Access-Control-Allow-Headers"] = ", ".join(allowed or ["authorization"])
            headers["Access-Control-Max-Age"] = "600"
        return Reply(204, headers, b"")


def _flags(query: str) -> tuple[bool, bool]:
    """`dry_run` and `results` of the query; any other or repeated parameter is a 400."""
    if not query:
        return False, False
    values: dict[str, str] = {}
    for name, value in door.parameters_of(query):
        if name not in {"dry_run", "results"}:
            raise BadRequestError("There is a parameter that is not known.", code="parameter")
        if name in values:
            raise BadRequestError(f"Send {name} once.", code="parameter")
        values[name] = value
    dry_run = values.get("dry_run", "false")
    if dry_run not in _BOOLEANS:
        raise BadRequestError("dry_run is true or false.", code="parameter")
    if values.get("results", "all") != "all":
        raise BadRequestError("results is all, or absent.", code="parameter")
    return _BOOLEANS[dry_run], "results" in values
