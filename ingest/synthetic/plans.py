"""What a run of synthetic events was asked for and goes by, to and from JSON."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any, TypedDict

from catalog.generation import Learned, Profile
from ingest.synthetic.making import Incident, Plan, Subjects
from portal.kernel import rfc3339


class PlanBody(TypedDict):
    """`events` are those without what incidents make of them where `rate` is given. `seasonal` and
    `learns` are wishes: there may have been nothing to learn from."""

    version: int
    since: str
    until: str
    events: int
    rate: float | None
    seed: int
    broken_ratio: float
    rules: list[str]
    incidents: list[str]
    seasonal: bool
    learns: bool


def say_incident(incident: Incident) -> str:
    """As `ingest.synthetic.making.read_incident` reads it: `spike@600s+300sx3`."""
    factor = f"x{incident.by:g}" if incident.by is not None else ""
    place = f":{incident.place}" if incident.place else ""
    return f"{incident.kind}@{_span(incident.at)}+{_span(incident.lasts)}{factor}{place}"


def _span(span: timedelta) -> str:
    return f"{span.total_seconds():.3f}".rstrip("0").rstrip(".") + "s"


def say_time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def say_learned(plan: Plan) -> dict[str, Any]:
    """What a plan goes by beside what was asked for."""
    return {
        "curve": list(plan.curve),
        "profile": {place: asdict(one) for place, one in plan.profile.items()},
        "subjects": asdict(plan.subjects),
        "sets_aside": plan.sets_aside,
        "enforces": plan.enforces,
    }


def read_plan(
    stream: str, document: Any, said: PlanBody, learned: dict[str, Any], incidents: list[Incident]
) -> Plan:
    """The plan of a kept run, equal to the one that it was started with."""
    return Plan(
        stream=stream,
        version=said["version"],
        document=document,
        seed=said["seed"],
        start=rfc3339.parse(said["since"]),
        end=rfc3339.parse(said["until"]),
        events=said["events"],
        broken_ratio=said["broken_ratio"],
        rules=tuple(said["rules"]),
        incidents=tuple(incidents),
        curve=tuple(learned["curve"]),
        profile=_profile(learned["profile"]),
        subjects=Subjects(**learned["subjects"]),
        sets_aside=learned["sets_aside"],
        enforces=learned["enforces"],
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
