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
from ingest.selectors.synthetic_runs import get_run, jobs_of_runs, runs_to, visible_runs
from ingest.services.synthetic import Wanted
from ingest.services.synthetic_runs import MAX_AHEAD, MAX_EVENTS, MAX_INCIDENTS, start_run
from ingest.synthetic.curves import CURVES, FLAT, LEARNED, read_incident
from ingest.synthetic.joining import MAX_STREAMS
from ingest.synthetic.kinds import ALIASES, ANY, RULES
from ingest.synthetic.plans import PlanBody, whole_plan
from portal.http import bodies, parameters
from portal.http.bodies import Body
from portal.http.conditional import etag
from portal.http.described import Described, schema_of
from portal.http.operations import Time, listed, operation
from portal.http.pagination import paginate
from portal.kernel import clock
from portal.kernel.errors import FieldError, InvalidError

DEFAULT_EVENTS: Final = 100


def _number(least: float, most: float) -> Described:
    def reader(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError("must be a number")
        if not least <= value <= most:
            raise ValueError(f"must be from {least:g} to {most:g}")
        return float(value)

    return Described(reader, {"type": "number", "minimum": least, "maximum": most})


_RATIO: Final = _number(0.0001, 100)
_NAME: Final = bodies.text(255, 1)


def _streams(value: Any) -> list[tuple[str, float]]:
    """Names, or objects of a name and a ratio."""
    if not isinstance(value, list):
        raise TypeError("must be a list of streams")
    if not 1 <= len(value) <= MAX_STREAMS:
        raise ValueError(f"must be 1 to {MAX_STREAMS} streams")
    return [_one_stream(one) for one in value]


def _one_stream(value: Any) -> tuple[str, float]:
    if not isinstance(value, dict):
        return _NAME(value), 1.0
    if not {"stream"} <= value.keys() <= {"stream", "ratio"}:
        raise TypeError("must be a name, or an object with stream and ratio")
    return _NAME(value["stream"]), _RATIO(value.get("ratio", 1.0))


def _shares(value: Any) -> dict[str, float]:
    if not isinstance(value, dict):
        raise TypeError("must be an object of kinds and ratios")
    share = _number(0, 1)
    unknown = sorted(value.keys() - {*RULES, *ALIASES})
    if unknown:
        raise ValueError(f"may name {', '.join((*RULES, *ALIASES))}")
    return {kind: share(one) for kind, one in value.items()}


NEW_RUN: Final = Body(
    optional={
        "stream": _NAME,
        "streams": Described(
            _streams,
            {
                "type": "array",
                "minItems": 1,
                "maxItems": MAX_STREAMS,
                "items": {
                    "anyOf": [
                        schema_of(_NAME),
                        {
                            "type": "object",
                            "properties": {"stream": schema_of(_NAME), "ratio": schema_of(_RATIO)},
                            "required": ["stream"],
                            "additionalProperties": False,
                        },
                    ]
                },
            },
        ),
        "events": bodies.integer(1, MAX_EVENTS),
        "rate": _number(0.001, MAX_EVENTS),
        "seconds": _number(1, MAX_AHEAD.total_seconds()),
        "since": bodies.moment,
        "until": bodies.moment,
        "seed": bodies.integer(0, 2**53),
        "broken_ratio": _number(0, 1),
        "rules": bodies.choices((*RULES, *ALIASES)),
        "shares": Described(
            _shares,
            {
                "type": "object",
                "propertyNames": {"enum": [*RULES, *ALIASES]},
                "additionalProperties": {"type": "number", "minimum": 0, "maximum": 1},
            },
        ),
        "incidents": bodies.texts(MAX_INCIDENTS, 200),
        "curve": bodies.choice(CURVES),
        "seasonal": bodies.boolean,
        "learns": bodies.boolean,
        "production": bodies.boolean,
    },
)


class SeenBody(TypedDict):
    """`stream` is the one that the events were made for. `rule` is what was broken on purpose, empty for a valid event; `expected` and `seen` are
    accepted, duplicate or a reason of refusal."""

    stream: str
    rule: str
    expected: str
    seen: str
    events: int


class MissBody(TypedDict):
    """An answer that was not the expected one. Where `seen` is `elsewhere`, the reason was right
    and its place was not: `expected` is then the pointer."""

    stream: str
    rule: str
    expected: str
    seen: str


class SyntheticRunBody(TypedDict):
    """`stream` is the first; all stand in the `plan`. `state`, `said` and `finished_at` are those of its `job`, which is steered under `jobs`.
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
    name = {"stream": row.stream.name}  # which counts of an earlier release lack
    return {
        "id": row.pk,
        "stream": row.stream.name,
        "plan": whole_plan(row.plan, row.stream.name),
        "learned": row.is_learned,
        "state": job.state if job is not None else None,
        "said": job.said if job is not None else "",
        "position": row.position,
        "total": row.total,
        "sent": row.sent,
        "outcome": [name | one for one in row.outcome],
        "misses": [name | one for one in row.misses],
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
        rules=tuple(said.get("rules") or (ANY,)),
        shares=said.get("shares", {}),
        incidents=tuple(read_incident(one) for one in said.get("incidents", ())),
        curve=said.get("curve", LEARNED if said.get("seasonal", True) else FLAT),
        learns=said.get("learns", True),
        production=said.get("production", False),
    )


class SyntheticRuns(ApiView):
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
            rows = runs_to(rows, get_stream(actor, asked["stream"]))
        page = paginate(
            rows,
            order=("-started_at", "id"),
            limit=asked.get("limit"),
            cursor=asked.get("cursor"),
        )
        jobs = jobs_of_runs(page.items)
        return Response(page.as_dict(lambda row: _run(row, jobs.get(str(row.pk)))))

    @operation(
        "Send synthetic events to a `stream`; workers do it. Or to `streams`, names or "
        '{"stream", "ratio"} of the first one\'s events, which then share subjects and the fields '
        "that join them. `events` (100), or `rate` a second with "
        "`seconds` or `until`; past times are sent at once, those to come at their time. "
        "`broken_ratio` is shared evenly by the `rules`; or `shares` says one for each kind. "
        "`incidents` read KIND@AT+FOR, as spike@10m+5mx3. A production stream needs `production`.",
        body=NEW_RUN,
        gives=SyntheticRunBody,
        status=202,
        refuses=(404,),
    )
    @idempotent
    def post(self, request: Request) -> Response:
        actor, said = api_actor(request), self.said(request)
        if ("stream" in said) == ("streams" in said):
            fault = FieldError("/stream", "required", "is needed, or streams beside it is not")
            raise InvalidError("Name a stream, or a list of streams.", errors=[fault])
        named = said.get("streams") or [(said["stream"], 1.0)]
        (first, _), *further = [(get_stream(actor, name), ratio) for name, ratio in named]
        run = start_run(first, _wanted(said), actor=actor, further=further)
        return _answer(run, status=202)


class SyntheticRunDetail(ApiView):
    @operation("One run, and how far it is.", gives=SyntheticRunBody, refuses=(404,))
    def get(self, request: Request, run_id: UUID) -> Response:
        return _answer(get_run(api_actor(request), run_id))


def _answer(run: SyntheticRun, *, status: int = 200) -> Response:
    job = jobs_of_runs([run]).get(str(run.pk))
    headers = {"ETag": etag(f"{run.pk}-{job.revision if job is not None else 0}")}
    if status == 202:
        headers["Location"] = f"/api/v1/synthetic-runs/{run.pk}"
    return Response(_run(run, job), status=status, headers=headers)
