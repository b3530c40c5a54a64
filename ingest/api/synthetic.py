"""REST of runs of synthetic events: start one, see how far they are and what came of them."""

from datetime import timedelta
from typing import Any, ClassVar, Final, TypedDict
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from catalog.selectors.streams import get_stream
from governance.api.authentication import api_actor
from governance.api.base import ApiView
from governance.api.idempotency import idempotent
from governance.models import Job
from ingest.models import SyntheticRun
from ingest.selectors.synthetic_runs import get_run, jobs_of_runs, visible_runs
from ingest.services.synthetic import Wanted
from ingest.services.synthetic_runs import MAX_AHEAD, MAX_EVENTS, MAX_INCIDENTS, start_run
from ingest.synthetic.breaking import RULES
from ingest.synthetic.making import read_incident
from ingest.synthetic.plans import PlanBody
from portal.http import bodies, parameters
from portal.http.bodies import Body
from portal.http.conditional import etag
from portal.http.described import Described
from portal.http.operations import Time, listed, operation
from portal.http.pagination import paginate
from portal.kernel import clock

DEFAULT_EVENTS: Final = 100


def _number(least: float, most: float) -> Described:
    def reader(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError("must be a number")
        if not least <= value <= most:
            raise ValueError(f"must be from {least:g} to {most:g}")
        return float(value)

    return Described(reader, {"type": "number", "minimum": least, "maximum": most})


NEW_RUN: Final = Body(
    required={"stream": bodies.text(255, 1)},
    optional={
        "events": bodies.integer(1, MAX_EVENTS),
        "rate": _number(0.001, MAX_EVENTS),
        "seconds": _number(1, MAX_AHEAD.total_seconds()),
        "since": bodies.moment,
        "until": bodies.moment,
        "seed": bodies.integer(0, 2**53),
        "broken_ratio": _number(0, 1),
        "rules": bodies.choices(RULES),
        "incidents": bodies.texts(MAX_INCIDENTS, 200),
        "seasonal": bodies.boolean,
        "learns": bodies.boolean,
        "production": bodies.boolean,
    },
)


class SeenBody(TypedDict):
    """`rule` is what was broken on purpose, empty for a valid event; `expected` and `seen` are
    accepted, duplicate or a reason of refusal."""

    rule: str
    expected: str
    seen: str
    events: int


class MissBody(TypedDict):
    rule: str
    expected: str
    seen: str


class SyntheticRunBody(TypedDict):
    """`state`, `said` and `finished_at` are those of its `job`, which is steered under `jobs`.
    `position` of `total` places were sent; `sent` counts events, of which a place may hold several.
    `misses` are the first twenty whose answer was not the expected one."""

    id: UUID
    stream: str
    plan: PlanBody
    learned: bool
    state: str | None
    said: str
    position: int
    total: int
    sent: int
    outcome: list[SeenBody]
    misses: list[MissBody]
    job: UUID | None
    started_by: str
    started_at: Time
    finished_at: Time | None


def _run(row: SyntheticRun, job: Job | None) -> SyntheticRunBody:
    return {
        "id": row.pk,
        "stream": row.stream.name,
        "plan": row.plan,
        "learned": row.is_learned,
        "state": job.state if job is not None else None,
        "said": job.said if job is not None else "",
        "position": row.position,
        "total": row.total,
        "sent": row.sent,
        "outcome": row.outcome,
        "misses": row.misses,
        "job": job.pk if job is not None else None,
        "started_by": row.started_by,
        "started_at": row.started_at,
        "finished_at": job.finished_at if job is not None else None,
    }


def _wanted(said: dict[str, Any]) -> Wanted:
    """What a body asks for: without an end, so long as its number takes by its rate."""
    rate = said.get("rate", 10.0)
    has_span = "until" in said or "seconds" in said
    events = said.get("events")
    if events is None and not ("rate" in said and has_span):
        events = DEFAULT_EVENTS
    start = said.get("since") or clock.now()
    span = timedelta(seconds=said.get("seconds") or (events or 0) / rate)
    return Wanted(
        start=start,
        end=said.get("until") or start + span,
        seed=said.get("seed", 1),
        events=events,
        rate=rate,
        broken_ratio=said.get("broken_ratio", 0.0),
        rules=tuple(said.get("rules") or ("schema_violation",)),
        incidents=tuple(read_incident(one) for one in said.get("incidents", ())),
        is_seasonal=said.get("seasonal", True),
        learns=said.get("learns", True),
        production=said.get("production", False),
    )


class SyntheticRuns(ApiView):
    policy: ClassVar = {"GET": "signed_in", "POST": "stream.publish"}

    @operation(
        "Runs of synthetic events to streams that you may know of, the newest first.",
        takes={"stream": parameters.text(255), **parameters.LIST},
        gives=listed(SyntheticRunBody),
        refuses=(404,),
    )
    def get(self, request: Request) -> Response:
        actor, asked = api_actor(request), self.asked
        rows = visible_runs(actor)
        if "stream" in asked:
            rows = rows.filter(stream=get_stream(actor, asked["stream"]))
        page = paginate(
            rows,
            order=("-started_at", "id"),
            limit=asked.get("limit"),
            cursor=asked.get("cursor"),
        )
        jobs = jobs_of_runs(page.items)
        return Response(page.as_dict(lambda row: _run(row, jobs.get(str(row.pk)))))

    @operation(
        "Send synthetic events to a stream; workers do it. `events` (100), or `rate` a second with "
        "`seconds` or `until`; past times are sent at once, those to come at their time. "
        "`incidents` read KIND@AT+FOR, as spike@10m+5mx3. A production stream needs `production`.",
        body=NEW_RUN,
        gives=SyntheticRunBody,
        status=202,
        refuses=(404,),
    )
    @idempotent
    def post(self, request: Request) -> Response:
        actor, said = api_actor(request), self.said(request)
        run = start_run(get_stream(actor, said["stream"]), _wanted(said), actor=actor)
        return _answer(run, status=202)


class SyntheticRunDetail(ApiView):
    policy: ClassVar = {"GET": "signed_in"}

    @operation("One run, and how far it is.", gives=SyntheticRunBody, refuses=(404,))
    def get(self, request: Request, run_id: UUID) -> Response:
        return _answer(get_run(api_actor(request), run_id))


def _answer(run: SyntheticRun, *, status: int = 200) -> Response:
    job = jobs_of_runs([run]).get(str(run.pk))
    headers = {"ETag": etag(f"{run.pk}-{job.revision if job is not None else 0}")}
    if status == 202:
        headers["Location"] = f"/api/v1/synthetic-runs/{run.pk}"
    return Response(_run(run, job), status=status, headers=headers)
