"""What a run of synthetic events was asked for and goes by, to and from JSON."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any, TypedDict

from catalog.generation import Learned, Profile
from ingest.synthetic.curves import FLAT, LEARNED, Incident, read_incident
from ingest.synthetic.kinds import even_shares
from ingest.synthetic.making import Plan, Subjects
from portal.kernel import rfc3339


class PlanStream(TypedDict):
    """One stream of a run. `ratio` is how many events it has for one of the first; `shares` and
    `incidents` are those that its contract can have."""

    stream: str
    version: int
    events: int
    ratio: float
    shares: dict[str, float]
    incidents: list[str]


class PlanBody(TypedDict):
    """`events` are those of all streams, without what incidents make of them where `rate` is given.
    `shares` are of what is not plain, by kind; `broken_ratio` is their sum and `rules` their kinds.
    `curve` and `learns` are wishes: there may have been nothing to learn from. `joins` are the
    fields that events of several streams have in common."""

    version: int
    since: str
    until: str
    events: int
    rate: float | None
    seed: int
    broken_ratio: float
    rules: list[str]
    shares: dict[str, float]
    incidents: list[str]
    curve: str
    seasonal: bool
    learns: bool
    streams: list[PlanStream]
    joins: list[str]


def whole_plan(said: Any, stream: str) -> PlanBody:
    """A kept plan with what one of an earlier release lacks: it was of one stream alone."""
    shares = said.get("shares", even_shares(said["broken_ratio"], said["rules"]))
    one: PlanStream = {
        "stream": stream, "version": said["version"], "events": said["events"], "ratio": 1.0,
        "shares": shares, "incidents": said["incidents"],
    }  # fmt: skip
    plan: PlanBody = {
        "shares": shares,
        "curve": LEARNED if said["seasonal"] else FLAT,
        "streams": [one],
        "joins": [],
    } | said
    return plan


def say_incident(incident: Incident) -> str:
    """As `ingest.synthetic.curves.read_incident` reads it: `spike@600s+300sx3`."""
    factor = f"x{incident.by:g}" if incident.by is not None else ""
    place = f":{incident.place}" if incident.place else ""
    return f"{incident.kind}@{_span(incident.at)}+{_span(incident.lasts)}{factor}{place}"


def _span(span: timedelta) -> str:
    return f"{span.total_seconds():.3f}".rstrip("0").rstrip(".") + "s"


def say_time(at: datetime) -> str:
    """RFC 3339 in UTC with microseconds and `Z`, as `rfc3339.parse` reads it."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def say_learned(plan: Plan) -> dict[str, Any]:
    """What a plan goes by beside what was asked for."""
    return {
        "curve": list(plan.curve),
        "profile": {place: asdict(one) for place, one in plan.profile.items()},
        "subjects": asdict(plan.subjects),
        "sets_aside": plan.sets_aside,
        "enforces": plan.enforces,
        "retired_version": plan.retired_version,
    }


def read_plan(said: PlanBody, at: int, document: Any, learned: dict[str, Any]) -> Plan:
    """The plan of stream number `at` of a kept run, equal to the one that it was started with."""
    one = said["streams"][at]
    return Plan(
        stream=one["stream"],
        version=one["version"],
        document=document,
        seed=said["seed"],
        start=rfc3339.parse(said["since"]),
        end=rfc3339.parse(said["until"]),
        events=one["events"],
        shares=tuple(sorted(one["shares"].items())),
        incidents=tuple(read_incident(text) for text in one["incidents"]),
        curve=tuple(learned["curve"]),
        profile=_profile(learned["profile"]),
        subjects=Subjects(**learned["subjects"]),
        sets_aside=learned["sets_aside"],
        enforces=learned["enforces"],
        retired_version=learned.get("retired_version"),
    )


def _profile(said: dict[str, Any]) -> Profile:
    return {
        place: Learned(
            presence_ratio=one["presence_ratio"],
            quantiles=tuple(one["quantiles"]),
            values=tuple((value, weight) for value, weight in one["values"]),
            masks=tuple((mask, weight) for mask, weight in one["masks"]),
            sizes=tuple(one["sizes"]),
        )
        for place, one in said.items()
    }
