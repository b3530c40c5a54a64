"""The JSON shapes of checks, alarms and trust, and the functions that make them."""

from typing import Any, TypedDict

from ingest.api.flow import FunnelBody, LatencyBody
from portal.http.operations import Time
from quality.models import Alarm, Check
from quality.trust import Part, State, Trust
from quality.verdicts import SpokenVerdict


class CheckBody(TypedDict):
    """`level` and `value` are null where there is no verdict; the sentence says why."""

    stream: str
    kind: str
    state: str
    level: int | None
    value: float | None
    expected: float | None
    sentence: str
    evaluated_at: Time | None
    changed_at: Time | None


class CheckDaysBody(CheckBody):
    """`days` are the last 28, oldest first: ok, warn, bad or none. `passing_ratio`, 0 to 1, is null
    when nothing was evaluated in them."""

    days: list[str]
    passing_ratio: float | None


def check(row: Check) -> CheckBody:
    return {
        "stream": row.stream.name,
        "kind": row.kind,
        "state": row.state,
        "level": row.level,
        "value": row.value,
        "expected": row.expected,
        "sentence": row.sentence,
        "evaluated_at": row.evaluated_at,
        "changed_at": row.changed_at,
    }


class AlarmBody(TypedDict):
    """`level`, `sentence` and `evidence` are of its opening; `reopened`: how often it came back."""

    id: int
    stream: str
    kind: str
    level: int
    open: bool
    opened_at: Time
    closed_at: Time | None
    reopened: int
    sentence: str
    evidence: dict[str, Any]


class AlarmDetailBody(AlarmBody):
    rule: str


def alarm(row: Alarm) -> AlarmBody:
    return {
        "id": row.pk,
        "stream": row.stream.name,
        "kind": row.kind,
        "level": row.level,
        "open": row.is_open,
        "opened_at": row.opened_at,
        "closed_at": row.closed_at,
        "reopened": row.reopened,
        "sentence": row.sentence,
        "evidence": row.evidence,
    }


class HealthBody(TypedDict):
    """`state` is that of the worst check, or `not_measured`. `alarms` are open ones; `funnel` is of
    24 hours, `latency` of the last hour."""

    stream: str
    state: str
    last_event_at: Time | None
    checks: list[CheckDaysBody]
    alarms: list[AlarmBody]
    funnel: FunnelBody
    latency: LatencyBody


class SignalBody(TypedDict):
    """`state` is fine, care, failing or not_measured."""

    name: str
    state: str
    sentence: str


class TrustBody(TypedDict):
    """`word` is Trusted, Use with care, Unproven or Not ready; five `signals`."""

    word: str
    signals: list[SignalBody]


class VerdictBody(TypedDict):
    """`kind` is ok, warn or bad; `because` holds the evidence for what `say` says."""

    kind: str
    say: str
    because: str


class FactsBody(TypedDict):
    """`consumers` is how many have declared to read it."""

    stream: str
    trust: TrustBody
    verdict: VerdictBody
    consumers: int
    last_event_at: Time | None
    reviewed_at: Time | None


def signal(part: Part) -> SignalBody:
    return {
        "name": part.name,
        "state": "not_measured" if part.state is State.UNKNOWN else part.state.value,
        "sentence": part.sentence,
    }


def trust(found: Trust) -> TrustBody:
    return {"word": found.word, "signals": [signal(part) for part in found.parts]}


def verdict(spoken: SpokenVerdict) -> VerdictBody:
    return {"kind": spoken.kind, "say": spoken.say, "because": spoken.because}
