"""Running the checks: all streams of a track at once, each evaluation a full window of five minutes.

1. Facts are read set-based: four queries, whatever the number of streams.
2. `CHECKS` says for each kind how a level and a sentence follow from a stream's facts.
3. Each check's machine (`quality.machine`) moves by the level; the outcome is stored in one
   statement, alarms are opened and closed with an audit row each.

An evaluation of the same or an earlier window does nothing, so a task may run twice; while one
runs, another of the track leaves at once. Production does not wait for the experimental track.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction

from catalog.models import Stream
from catalog.types import Track
from portal.http import words
from portal.kernel import clock, sql
from quality import machine as machines
from quality.models import Baseline, Check, CheckKind
from quality.rates import MIN_EVENTS, rate_check
from quality.services.alarms import Happening, close_orphans, settle_alarms
from quality.services.baselines import slot_of
from quality.volume import judge, silence_level

WINDOW: Final = timedelta(minutes=5)
VALIDITY_GOAL: Final = 0.005
MIN_HOURLY: Final = 30.0
MIN_DAILY: Final = 10.0
CADENCE_FACTOR: Final = 3
_WINDOWS: Final = sql.load("quality", "account_windows")
_NEWEST: Final = sql.load("quality", "newest_accepted")
_STORE: Final = sql.load("quality", "store_verdicts")
_TRY_LOCK: Final = sql.load("quality", "try_lock")
_HOLD_LOCK: Final = sql.load("quality", "hold_lock")
_RELEASE_LOCK: Final = sql.load("quality", "release_lock")
_LOCKS: Final[Mapping[str, int]] = {Track.PRODUCTION: 7_301_001, Track.EXPERIMENTAL: 7_301_002}


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one stream at the end of a window."""

    stream: Stream
    at: datetime
    account: Mapping[str, int]
    newest: datetime | None
    baseline: Baseline | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """A level (None: none), the measured value, what was expected, and both as a sentence."""

    level: int | None
    value: float | None
    expected: float | None
    sentence: str


def run_checks(at: datetime | None = None, *, track: str | None = None) -> int:
    """Evaluate every check of a track's streams, or of all, at the newest closed window; gives how
    many gave a verdict. A track that somebody else evaluates at this moment is left to them.
    """
    moment = at or clock.now()
    end = moment - timedelta(
        minutes=moment.minute % 5, seconds=moment.second, microseconds=moment.microsecond
    )
    return sum(_run(end, one) for one in ((track,) if track is not None else _LOCKS))


@transaction.atomic
def _run(end: datetime, track: str) -> int:
    lock = sql.fetch_one(_TRY_LOCK, {"key": _LOCKS[track]})
    return _evaluate(end, track) if lock is not None and lock["taken"] else 0


@contextmanager
def sole_judge() -> Iterator[None]:
    """Keep every other process from evaluating while the block lasts.

    For who takes a history in and judges it as of its own time: a scheduled evaluation in between
    would find silence where events are still to come, and close the past to judgement. The lock is
    the connection's, so it ends with the process, but does not pass a transaction pooler.
    """
    for key in _LOCKS.values():
        sql.execute(_HOLD_LOCK, {"key": key})
    try:
        yield
    finally:
        for key in _LOCKS.values():
            sql.execute(_RELEASE_LOCK, {"key": key})


def _evaluate(end: datetime, track: str) -> int:
    known_checks = Check.objects.exclude(evaluated_at=None).filter(stream__track=track)
    checks = {(check.stream_id, check.kind): check for check in known_checks}
    rows: list[dict[str, Any]] = []
    happenings: list[Happening] = []
    for facts in _all_facts(end, track):
        for kind, measure in CHECKS.items():
            known = checks.get((facts.stream.pk, kind))
            if known is not None and known.evaluated_at and known.evaluated_at >= end:
                continue
            verdict = measure(facts)
            if verdict.level is None and known is None:
                continue
            row, happening = _move(facts, kind, known, verdict)
            rows.append(row)
            happenings.append(happening)
    if rows:
        sql.execute(_STORE, {"rows": json.dumps(rows), "at": end})
    settle_alarms(happenings, at=end)
    close_orphans(at=end)
    return sum(row["level"] is not None for row in rows)


def _all_facts(end: datetime, track: str) -> list[Facts]:
    asked = {"at": end, "track": track}
    accounts = {row["stream_id"]: row for row in sql.fetch_all(_WINDOWS, asked)}
    newest = {row["stream_id"]: row["minute"] for row in sql.fetch_all(_NEWEST, asked)}
    baselines = {row.stream_id: row for row in Baseline.objects.filter(stream__track=track)}
    streams = Stream.objects.filter(pk__in=newest).only(
        "id", "name", "cadence_seconds", "created_at"
    )
    return [
        Facts(
            stream=stream,
            at=end,
            account=accounts.get(stream.pk, {}),
            newest=newest[stream.pk],
            baseline=baselines.get(stream.pk),
        )
        for stream in streams.order_by("pk")
    ]


def _move(
    facts: Facts, kind: str, known: Check | None, verdict: Verdict
) -> tuple[dict[str, Any], Happening]:
    """The check's row after this verdict, and what its machine made of it."""
    before = (
        machines.Machine(
            known.state,
            tuple(known.history),
            known.clean_runs,
            known.critical_runs,
            known.since_remediation,
        )
        if known is not None
        else machines.Machine()
    )
    step = machines.advance(before, verdict.level)
    after = step.machine
    happening = Happening(
        facts.stream, kind, step.event, verdict.level or 0, verdict.value, verdict.expected,
        verdict.sentence,
    )  # fmt: skip
    row = {
        "stream_id": facts.stream.pk,
        "kind": kind,
        "state": after.state,
        "history": list(after.history),
        "clean_runs": after.clean,
        "critical_runs": after.critical,
        "since_remediation": after.since_remediation,
        "level": verdict.level,
        "value": verdict.value,
        "expected": verdict.expected,
        "sentence": verdict.sentence,
    }
    return row, happening


def validity(facts: Facts) -> Verdict:
    """The share refused or in breach, over the shortest of 1, 6 and 24 hours with 50 events."""
    hours = next(
        (h for h in (1, 6) if int(facts.account.get(f"received_{h}", 0)) >= MIN_EVENTS), 24
    )
    total = int(facts.account.get(f"received_{hours}", 0))
    bad = int(facts.account.get(f"bad_{hours}", 0))
    found = rate_check(bad=bad, total=total, threshold=VALIDITY_GOAL)
    span = "hour" if hours == 1 else f"{hours} hours"
    if found["level"] is None:
        sentence = f"{words.plural(total, 'event')} in the last {span}: too few to judge."
    else:
        sentence = (
            f"{words.number(bad)} of {words.plural(total, 'event')} broke the contract in the last "
            f"{span} ({words.share(found['rate'])}, goal {words.share(VALIDITY_GOAL)})."
        )
    return Verdict(found["level"], found["rate"], VALIDITY_GOAL, sentence)


def freshness(facts: Facts) -> Verdict:
    """Silence against the stream's own rhythm, or against its declared cadence."""
    if facts.newest is None:
        return Verdict(None, None, None, "No event in six weeks.")
    silent = max((facts.at - facts.newest - timedelta(minutes=1)).total_seconds(), 0.0)
    cadence = facts.stream.cadence_seconds
    if cadence:
        level = (
            2 if silent > 2 * CADENCE_FACTOR * cadence else int(silent > CADENCE_FACTOR * cadence)
        )
        return Verdict(
            level,
            silent,
            float(cadence),
            f"Silent for {words.duration(silent)}; one is due every {words.duration(cadence)}.",
        )
    if facts.baseline is None:
        return Verdict(None, silent, None, "Its rhythm is not known before three days of events.")
    score = mean_between(facts.baseline, facts.newest + timedelta(minutes=1), facts.at)
    expected = f"{score:.1f}" if score < 10 else f"about {words.number(round(score))}"
    sentence = f"Last event {words.duration(silent)} ago; {expected} were expected since."
    return Verdict(silence_level(score), silent, score, sentence)


def volume(facts: Facts) -> Verdict:
    """The last hour against the same hour of past weeks; the last day where hours are thin."""
    baseline = facts.baseline
    if baseline is None:
        return Verdict(None, None, None, "The baseline warms up: three days of events are needed.")
    last_hour = facts.at - timedelta(hours=1)
    hourly = expected_between(baseline, last_hour, facts.at)
    hours, expected = (1, hourly) if hourly >= MIN_HOURLY else (24, 0.0)
    if hours == 24:
        expected = mean_between(baseline, facts.at - timedelta(days=1), facts.at)
        if expected < MIN_DAILY:
            return Verdict(None, None, expected, "Too few events a day to judge their number.")
    observed = int(facts.account.get(f"accepted_{hours}", 0))
    found = judge(expected, math.log1p(expected), baseline.scale, observed)
    span = "hour" if hours == 1 else "24 hours"
    change = found["relative"] or 0.0
    direction = "above" if change >= 0 else "below"
    sentence = (
        f"{words.plural(observed, 'event')} in the last {span}, "
        f"{words.share(abs(change), 0)} {direction} the {words.number(round(expected))} expected."
    )
    return Verdict(found["level"], float(observed), expected, sentence)


def expected_between(baseline: Baseline, start: datetime, end: datetime) -> float:
    """Events expected from `start` to `end`: the profile at its present level, hours in part."""
    total = 0.0
    moment = max(start, end - timedelta(days=14))  # beyond two weeks of silence no verdict changes
    while moment < end:
        hour_end = moment.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        part = (min(hour_end, end) - moment).total_seconds() / 3600
        value = baseline.profile[slot_of(moment)]
        if not math.isnan(value):
            total += max(math.expm1(value + baseline.level), 0.0) * part
        moment = hour_end
    return total


def mean_between(baseline: Baseline, start: datetime, end: datetime) -> float:
    """Events expected by the mean of each hour of the day: right for sums over thin hours."""
    total = 0.0
    moment = max(start, end - timedelta(days=14))
    while moment < end and baseline.hourly_means:
        hour_end = moment.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        part = (min(hour_end, end) - moment).total_seconds() / 3600
        total += baseline.hourly_means[moment.hour] * part
        moment = hour_end
    return total


CHECKS: Final[Mapping[str, Callable[[Facts], Verdict]]] = {
    CheckKind.VALIDITY: validity,
    CheckKind.FRESHNESS: freshness,
    CheckKind.VOLUME: volume,
}
