"""REST of a stream's ladder of enforcement, and of who still uses what is deprecated."""

from datetime import date
from typing import Any, ClassVar, Final, TypedDict

from rest_framework.request import Request
from rest_framework.response import Response

from catalog.selectors.streams import get_stream
from catalog.services import enforcement as services
from catalog.types import Enforcement, LadderMode
from governance.api.authentication import api_actor
from governance.api.base import ApiView
from governance.api.idempotency import idempotent
from ingest.judging.deprecations import FIELD, VERSION
from ingest.privacy.treating import REMOVED
from ingest.selectors import deprecated_uses
from ingest.selectors.enforcement import Ladder, ladder_of, moves_of
from portal.http import bodies, parameters
from portal.http.bodies import Body
from portal.http.conditional import etag, require_match
from portal.http.described import Described
from portal.http.operations import Time, operation


def _share(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("must be a number")
    if not 0 <= value <= 1:
        raise ValueError("must be a share from 0 to 1")
    return float(value)


RULE: Final = Body(
    optional={
        "mode": bodies.choice(LadderMode.values),
        "violation_bound": Described(_share, {"type": "number", "minimum": 0, "maximum": 1}),
        "days": bodies.integer(1, services.MAX_DAYS),
        "least_events": bodies.integer(1, services.MAX_LEAST),
    }
)
MOVE: Final = Body(
    required={
        "to": bodies.choice(Enforcement.values),
        "reason": bodies.text(services.MAX_REASON, 1),
    }
)


class RuleBody(TypedDict):
    """The next step is due after `days` days in a row of `least_events` each, of which a share
    below `violation_bound`, 0 to 1, broke the contract."""

    mode: str
    violation_bound: float
    days: int
    least_events: int


class DayBody(TypedDict):
    """`state` is good, bad, few (too few events), before (not on this rung yet) or running."""

    day: date
    judged: int
    violations: int
    state: str


class MoveBody(TypedDict):
    """A step up or down from one rung to another; `by` is `portal` for an automatic one."""

    at: Time
    by: str
    before: str
    after: str
    reason: str


class EnforcementBody(TypedDict):
    """`share` is over the days that count; null for no event, at the top, or when it is off."""

    stream: str
    enforcement: str
    since: Time
    rule: RuleBody
    next: str | None
    share: float | None
    judged: int
    good_days: int
    advances_on: date | None
    said: str
    days: list[DayBody]
    history: list[MoveBody]


def enforcement(row: Ladder) -> EnforcementBody:
    """Where a stream stands and how it came there; reads its ten newest moves."""
    found = row.standing
    return {
        "stream": row.stream.name,
        "enforcement": row.stream.enforcement,
        "since": row.rule.rung_since,
        "rule": {
            "mode": row.rule.mode,
            "violation_bound": row.rule.violation_bound,
            "days": row.rule.days,
            "least_events": row.rule.least_events,
        },
        "next": str(row.above) if row.above is not None else None,
        "share": found.share if found is not None else None,
        "judged": found.judged if found is not None else 0,
        "good_days": found.good_days if found is not None else 0,
        "advances_on": found.advances_on if found is not None else None,
        "said": row.sentence,
        "days": [
            {"day": on, "judged": day.judged, "violations": day.violations, "state": state}
            for on, day, state in (found.days if found is not None else ())
        ],
        "history": [
            {
                "at": move.at,
                "by": move.by,
                "before": move.before,
                "after": move.after,
                "reason": move.reason,
            }
            for move in moves_of(row.stream)
        ],
    }


def _answer(row: Ladder) -> Response:
    return Response(enforcement(row), headers={"ETag": _tag(row)})


def _tag(row: Ladder) -> str:
    """The rule and the rung; what is measured changes by itself."""
    return etag(f"enforcement-{row.stream.revision}")


class StreamEnforcement(ApiView):
    @operation(
        "Where a stream stands on the ladder of enforcement, and when it takes the next step.",
        gives=EnforcementBody,
    )
    def get(self, request: Request, name: str) -> Response:
        return _answer(ladder_of(get_stream(api_actor(request), name)))

    @operation("Change when it takes the next step.", body=RULE, gives=EnforcementBody)
    def patch(self, request: Request, name: str) -> Response:
        actor = api_actor(request)
        stream = get_stream(actor, name)
        require_match(request.headers, _tag(ladder_of(stream)))
        services.set_rule(stream, self.said(request), actor=actor, revision=stream.revision)
        return _answer(ladder_of(get_stream(actor, stream.name)))


class MoveEnforcement(ApiView):
    @operation("Put it on another rung, up or down, with a reason.", body=MOVE,
               gives=EnforcementBody)  # fmt: skip
    @idempotent
    def post(self, request: Request, name: str) -> Response:
        actor = api_actor(request)
        stream = get_stream(actor, name)
        services.move_enforcement(stream, actor=actor, **self.said(request))
        return _answer(ladder_of(get_stream(actor, stream.name)))


class UseBody(TypedDict):
    """`name` is the number of a version or the path of a field, by `kind`."""

    kind: str
    name: str
    producer: str
    events: int
    last_at: Time


class UsesBody(TypedDict):
    """`since` is the first day counted. All is on one page, 500 a kind at most."""

    since: date
    items: list[UseBody]
    next: None


class DeprecatedUses(ApiView):
    @operation(
        "Who still sent deprecated versions and fields of a stream in the last seven days; when asked"
        " for `removed`, fields that a stream which minimises took out.",
        takes={"kind": parameters.choice((VERSION, FIELD, REMOVED))},
        gives=UsesBody,
    )
    def get(self, request: Request, name: str) -> Response:
        stream = get_stream(api_actor(request), name)
        kinds = [self.asked["kind"]] if "kind" in self.asked else [VERSION, FIELD]
        items = [
            {
                "kind": kind,
                "name": use.name,
                "producer": use.producer,
                "events": use.events,
                "last_at": use.last_at,
            }
            for kind in kinds
            for use in deprecated_uses.uses_of_stream(stream, kind)
        ]
        return Response({"since": deprecated_uses.since(), "items": items, "next": None})
