"""The JSON shapes of checks, alarms and trust: one function each."""

from typing import Any

from quality.models import Alarm, Check
from quality.trust import Part, State, Trust
from quality.verdicts import SpokenVerdict


def check(row: Check) -> dict[str, Any]:
    """A check; `level` and `value` are null where there is no verdict, the sentence says why."""
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


def alarm(row: Alarm) -> dict[str, Any]:
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


def signal(part: Part) -> dict[str, Any]:
    return {
        "name": part.name,
        "state": "not_measured" if part.state is State.UNKNOWN else part.state.value,
        "sentence": part.sentence,
    }


def trust(found: Trust) -> dict[str, Any]:
    return {"word": found.word, "signals": [signal(part) for part in found.parts]}


def verdict(spoken: SpokenVerdict) -> dict[str, Any]:
    return {"kind": spoken.kind, "say": spoken.say, "because": spoken.because}
