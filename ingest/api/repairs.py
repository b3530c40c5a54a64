"""REST of what is done about dead letters: repairs, replays, discards, export, discovered types."""

from collections.abc import AsyncIterator, Callable
from typing import Any, ClassVar, Final, TypedDict
from uuid import UUID

from asgiref.sync import sync_to_async
from django.http import StreamingHttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.models import Producer
from catalog.selectors.streams import get_stream
from governance.api.authentication import api_actor
from governance.api.base import ApiView
from governance.api.idempotency import idempotent
from governance.models import Job, User
from ingest.api import render
from ingest.models import Repair
from ingest.selectors import dead_letters, discovered, exports
from ingest.selectors import repairs as selectors
from ingest.selectors.suggested import suggestions_for
from ingest.services import letters as services
from ingest.services.letter_jobs import RATES
from portal.http import bodies, parameters
from portal.http.bodies import Body
from portal.http.conditional import etag
from portal.http.described import Described
from portal.http.operations import Time, listed, operation
from portal.http.pagination import paginate
from portal.http.rendering import dump
from portal.kernel.actor import Actor
from portal.kernel.errors import FieldError, InvalidError, NotFoundError

LINES: Final = "application/x-ndjson"
_GROUP: Final = bodies.text(4000, 1)
_NOTE: Final = bodies.text(services.MAX_NOTE)


def _rate(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("must be a whole number")
    if value not in RATES:
        raise ValueError(f"must be one of {', '.join(map(str, RATES))}")
    return value


def _steps(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("must be a list of steps")
    return value


RATE: Final = Described(_rate, {"type": "integer", "enum": list(RATES)})
STEPS: Final = Described(
    _steps,
    {
        "type": "array",
        "maxItems": 20,
        "items": {
            "type": "object",
            "properties": {"do": {"type": "string"}, "at": {"type": "string"}},
            "required": ["do", "at"],
        },
    },
)
NEW_REPAIR: Final = Body(required={"group": _GROUP, "steps": STEPS}, optional={"note": _NOTE})
APPROVAL: Final = Body(optional={"comment": _NOTE})
REASON: Final = Body(required={"reason": _NOTE})
APPLY: Final = Body(optional={"rate": RATE})
REPLAY: Final = Body(optional={"group": _GROUP, "stream": bodies.text(255, 1), "rate": RATE})
DISCARD: Final = Body(required={"group": _GROUP, "reason": _NOTE})
KNOWN: Final = Body(required={"note": _NOTE}, optional={"known": bodies.boolean})
ASSIGN: Final = Body(required={"to": bodies.nullable(bodies.text(254))})


class SuggestionBody(TypedDict):
    """`steps` can be declared as they are."""

    title: str
    steps: list[Any]


class GroupDetailBody(render.GroupBody):
    """`states` counts its letters; `suggestions` are repairs written from its fault."""

    states: dict[str, int]
    suggestions: list[SuggestionBody]


class FaultBody(TypedDict):
    """Events that fail alike; `code`, `pointer` and `detail` are those of the first."""

    events: int
    reason: str
    code: str
    pointer: str
    detail: str


class CountsBody(TypedDict):
    """What a dry run or a replay came to; `pass_ratio` is null while nothing was looked at."""

    checked: int
    accepted: int
    duplicate: int
    refused: int
    pass_ratio: float | None
    faults: list[FaultBody]


class RepairBody(TypedDict):
    """`standing` is the state, or `paused`, `stopped`, `failed` of the work behind it."""

    id: UUID
    kind: str
    groups: list[str]
    type: str
    stream: str | None
    steps: list[Any]
    said: list[str]
    note: str
    state: str
    standing: str
    rate: int
    dry_run: CountsBody | None
    outcome: CountsBody | None
    job: UUID | None
    done: int
    total: int | None
    declared_by: str
    declared_at: Time
    decided_by: str | None
    decided_at: Time | None
    decision: str | None
    applied_by: str | None
    applied_at: Time | None
    finished_at: Time | None


class ExampleBody(TypedDict):
    """An event before and after the steps; where a step cannot be done `after` is null, and `fault`
    and `pointer` say why and where."""

    dead_letter: UUID
    event_id: str
    before: Any
    after: Any
    fault: str | None
    pointer: str | None


class RepairDetailBody(RepairBody):
    """`examples` are null for who may not read the bytes."""

    examples: list[ExampleBody] | None


class DiscoveredBody(TypedDict):
    """`producer` sent it first; null when that is no more. `register_at` is the page for it."""

    type: str
    events: int
    first_seen_at: Time
    last_seen_at: Time
    producer: str | None
    register_at: str


def _counts(found: dict[str, Any]) -> CountsBody | None:
    if not found:
        return None
    passed = found["accepted"] + found["duplicate"]
    return {
        "checked": found["checked"],
        "accepted": found["accepted"],
        "duplicate": found["duplicate"],
        "refused": found["refused"],
        "pass_ratio": round(passed / found["checked"], 6) if found["checked"] else None,
        "faults": sorted(found["faults"].values(), key=lambda fault: -fault["events"]),
    }


def repair(row: Repair, job: Job | None) -> RepairBody:
    """A repair, replay or discard with how far its newest job is; `job` None before its first."""
    return {
        "id": row.pk,
        "kind": row.kind,
        "groups": [dead_letters.group_id(key) for key in row.group_keys],
        "type": row.type,
        "stream": row.stream.name if row.stream is not None else None,
        "steps": row.steps,
        "said": selectors.steps_of(row).said,
        "note": row.note,
        "state": row.state,
        "standing": selectors.standing_of(row, job),
        "rate": row.rate,
        "dry_run": _counts(row.dry_run),
        "outcome": _counts(row.outcome),
        "job": job.pk if job is not None else None,
        "done": job.done if job is not None else 0,
        "total": job.total if job is not None else None,
        "declared_by": row.declared_by,
        "declared_at": row.declared_at,
        "decided_by": row.decided_by or None,
        "decided_at": row.decided_at,
        "decision": row.decision or None,
        "applied_by": row.applied_by or None,
        "applied_at": row.applied_at,
        "finished_at": row.finished_at,
    }


def _answer(actor: Actor, row: Repair, *, status: int = 200) -> Response:
    """A repair with its examples; a new one says where it is."""
    job = selectors.job_of(row)
    found = selectors.examples_of(actor, row)
    body: RepairDetailBody = {
        **repair(row, job),
        "examples": None
        if found is None
        else [
            {
                "dead_letter": one.letter,
                "event_id": one.event_id,
                "before": one.before,
                "after": one.after,
                "fault": one.fault or None,
                "pointer": one.pointer or None,
            }
            for one in found
        ],
    }
    headers = {"ETag": etag(f"{row.revision}.{job.revision if job else 0}")}
    if status in (201, 202):
        headers["Location"] = f"/api/v1/dead-letters/repairs/{row.pk}"
    return Response(body, status=status, headers=headers)


def _group(actor: Actor, group: str) -> dead_letters.Group:
    return dead_letters.group_of(actor, dead_letters.key_of(group))


class GroupDetail(ApiView):
    @operation(
        "One group with its counts by state, and the repairs that its fault suggests.",
        gives=GroupDetailBody,
    )
    def get(self, request: Request, group: str) -> Response:
        actor = api_actor(request)
        found = _group(actor, group)
        body: GroupDetailBody = {
            **render.group(found),
            "states": dead_letters.states_in(actor, found.key),
            "suggestions": [
                {"title": one.title, "steps": list(one.steps)}
                for one in suggestions_for(actor, found)
            ],
        }
        return Response(body)


class Known(ApiView):
    @operation(
        "Say that the cause of a group is known (or not any more), with a note for who looks next.",
        body=KNOWN,
        gives=render.GroupBody,
    )
    @idempotent
    def post(self, request: Request, group: str) -> Response:
        actor = api_actor(request)
        found, said = _group(actor, group), self.said(request)
        services.mark_known(found, actor=actor, note=said["note"], is_known=said.get("known", True))
        return Response(render.group(_group(actor, group)))


class Assign(ApiView):
    @operation("Give a group to a person by email, or to nobody.", body=ASSIGN,
               gives=render.GroupBody)  # fmt: skip
    @idempotent
    def post(self, request: Request, group: str) -> Response:
        actor = api_actor(request)
        found, to = _group(actor, group), self.said(request)["to"]
        person = User.objects.filter(email=to, is_active=True).first() if to else None
        if to and person is None:
            raise InvalidError(
                "Nobody has this address.", errors=[FieldError("/to", "value", "is nobody's")]
            )
        services.assign_group(found, person, actor=actor)
        return Response(render.group(_group(actor, group)))


class Repairs(ApiView):
    @operation(
        "What is done about dead letters, the newest first.",
        takes={"group": parameters.text(4000), **parameters.LIST},
        gives=listed(RepairBody),
    )
    def get(self, request: Request) -> Response:
        rows = selectors.visible_repairs(api_actor(request))
        if "group" in self.asked:
            rows = rows.filter(group_keys__contains=[dead_letters.key_of(self.asked["group"])])
        return _page(rows, self.asked)

    @operation(
        "Declare the steps of a repair for a group; its dry run is the next step.",
        body=NEW_REPAIR,
        gives=RepairDetailBody,
        status=201,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        actor, said = api_actor(request), self.said(request)
        row = services.declare_repair(
            _group(actor, said["group"]), said["steps"], actor=actor, note=said.get("note", "")
        )
        return _answer(actor, row, status=201)


def _page(rows: Any, asked: dict[str, Any]) -> Response:
    page = paginate(
        rows, order=("-declared_at", "id"), limit=asked.get("limit"), cursor=asked.get("cursor")
    )
    jobs = selectors.jobs_of(page.items)
    return Response(page.as_dict(lambda row: repair(row, jobs.get(str(row.pk)))))


class RepairDetail(ApiView):
    @operation("One repair with its dry run and examples before and after.",
               gives=RepairDetailBody)  # fmt: skip
    def get(self, request: Request, repair_id: UUID) -> Response:
        actor = api_actor(request)
        return _answer(actor, selectors.get_repair(actor, repair_id))


def _do(
    request: Request, repair_id: UUID, step: Callable[[Repair, Actor], object], status: int
) -> Response:
    actor = api_actor(request)
    row = selectors.get_repair(actor, repair_id)
    step(row, actor)
    return _answer(actor, selectors.get_repair(actor, repair_id), status=status)


class DryRun(ApiView):
    @operation("Judge the whole group with the steps and store nothing; work that is followed.",
               body=bodies.EMPTY, gives=RepairDetailBody, status=202)  # fmt: skip
    @idempotent
    def post(self, request: Request, repair_id: UUID) -> Response:
        self.said(request)
        return _do(request, repair_id, lambda row, who: services.start_dry_run(row, actor=who), 202)


class Approve(ApiView):
    @operation("Approve a repair after its dry run; never one's own.", body=APPROVAL,
               gives=RepairDetailBody)  # fmt: skip
    @idempotent
    def post(self, request: Request, repair_id: UUID) -> Response:
        comment = self.said(request).get("comment", "")
        return _do(
            request,
            repair_id,
            lambda row, who: services.approve_repair(row, actor=who, comment=comment),
            200,
        )


class Decline(ApiView):
    @operation("Decline a repair with a reason, or take one's own back.", body=REASON,
               gives=RepairDetailBody)  # fmt: skip
    @idempotent
    def post(self, request: Request, repair_id: UUID) -> Response:
        reason = self.said(request)["reason"]
        return _do(
            request,
            repair_id,
            lambda row, who: services.decline_repair(row, actor=who, reason=reason),
            200,
        )


class Apply(ApiView):
    @operation("Replay an approved repair, at a rate in events a second.", body=APPLY,
               gives=RepairDetailBody, status=202)  # fmt: skip
    @idempotent
    def post(self, request: Request, repair_id: UUID) -> Response:
        rate = self.said(request).get("rate", services.DEFAULT_RATE)
        return _do(
            request,
            repair_id,
            lambda row, who: services.apply_repair(row, actor=who, rate=rate),
            202,
        )


class Replay(ApiView):
    @operation(
        "Take a group through the door again as it is, or the events that waited for a stream.",
        body=REPLAY,
        gives=RepairDetailBody,
        status=202,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        actor, said = api_actor(request), self.said(request)
        rate = said.get("rate", services.DEFAULT_RATE)
        if ("group" in said) == ("stream" in said):
            raise InvalidError(
                "Name a group or a stream.",
                errors=[FieldError("/group", "required", "is needed, or a stream instead")],
            )
        if "stream" in said:
            row = services.replay_waiting(get_stream(actor, said["stream"]), actor=actor, rate=rate)
        else:
            row = services.replay_group(_group(actor, said["group"]), actor=actor, rate=rate)
        return _answer(actor, row, status=202)


class Discard(ApiView):
    @operation("Give the open events of a group up, with a reason, for good.", body=DISCARD,
               gives=RepairDetailBody, status=202)  # fmt: skip
    @idempotent
    def post(self, request: Request) -> Response:
        actor, said = api_actor(request), self.said(request)
        row = services.discard_group(
            _group(actor, said["group"]), actor=actor, reason=said["reason"]
        )
        return _answer(actor, row, status=202)


class Replays(ApiView):
    @operation("Replays and discards that were begun, the newest first.", takes=parameters.LIST,
               gives=listed(RepairBody))  # fmt: skip
    def get(self, request: Request) -> Response:
        return _page(selectors.open_replays(api_actor(request)), self.asked)


class ReplayDetail(ApiView):
    @operation("One replay: how far it is and what it came to. Steer it as a job.",
               gives=RepairBody)  # fmt: skip
    def get(self, request: Request, repair_id: UUID) -> Response:
        row = selectors.get_repair(api_actor(request), repair_id)
        if row.applied_at is None:
            raise NotFoundError
        job = selectors.job_of(row)
        tag = etag(f"{row.revision}.{job.revision if job else 0}")
        return Response(repair(row, job), headers={"ETag": tag})


class Export(ApiView):
    @operation(
        "The letters of a group as one JSON object a line with their bytes, the oldest first; "
        "10,000 at most, the last line names the next page. For who may read the payload.",
        takes={"group": parameters.text(4000), "after": parameters.text(200)},
        media=LINES,
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        actor = api_actor(request)
        if "group" not in self.asked:
            raise InvalidError(
                "Name a group.", errors=[FieldError("/group", "required", "is needed")]
            )
        found = _group(actor, self.asked["group"])
        export = exports.begin_export(actor, found.key, after=self.asked.get("after", ""))
        response = StreamingHttpResponse(_lines(export), content_type=LINES)
        response["Content-Disposition"] = 'attachment; filename="dead-letters.jsonl"'
        return response


async def _lines(export: exports.Export) -> AsyncIterator[bytes]:
    """Pages of letters as lines, so that no export is held in memory."""
    while rows := await sync_to_async(export.next_rows)():
        yield b"".join(dump(row) + b"\n" for row in rows)


class Discovered(ApiView):
    @operation(
        "Types that arrive and nobody registered, the last seen first.",
        takes=parameters.LIST,
        gives=listed(DiscoveredBody),
    )
    def get(self, request: Request) -> Response:
        page = paginate(
            discovered.visible_types(api_actor(request)),
            order=("-last_seen_at", "type"),
            limit=self.asked.get("limit"),
            cursor=self.asked.get("cursor"),
        )
        producers = Producer.objects.in_bulk([row.producer_id for row in page.items])
        items = [
            {
                "type": row.type,
                "events": row.events,
                "first_seen_at": row.first_seen_at,
                "last_seen_at": row.last_seen_at,
                "producer": found.name if (found := producers.get(row.producer_id)) else None,
                "register_at": discovered.register_at(row.type),
            }
            for row in page.items
        ]
        return Response({"items": items, "next": page.next})
