"""Reading running experiments: exposures in, then one immutable snapshot a look.

1. Exposure events after the experiment's position are merged into one row a unit; position and rows
   move in one transaction, so each event counts once whatever crashes.
2. The watermark is the earliest of the streams the experiment reads. A look never goes beyond it,
   and is not taken while exposures wait to be merged.
3. Each day since the start that the watermark has passed gives a daily look; besides, the present
   one gives a look when its statistics differ from those of the newest snapshot. The look at the
   planned end plus the longest window is the final one; none follows it.
4. An uneven split freezes the reading: counts and health are kept, effects are not.

Two workers at once wait for each other on the experiment's row, so running twice changes nothing.
"""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db import transaction

from analytics.watermarks import watermark
from experiments.models import AnalysisSnapshot, Experiment, ExperimentMetric, Variant
from experiments.reading import ArmSums, Look, MeasureFacts, read_measures
from experiments.selectors.experiments import measures_of, streams_of
from experiments.stats.sample_ratio import srm
from experiments.types import State
from experiments.verdicts import facts_of, verdict_of
from ingest.log.alive import FieldLives, alive_since, sample_at
from portal.kernel import clock, sql
from quality.models import Check

STATISTICS_VERSION: Final = 1
BATCH: Final = 20_000
BUDGET_SECONDS: Final = 30.0
MAX_LOOKS: Final = 60
PRE_PERIOD: Final = timedelta(days=14)
DAY: Final = timedelta(days=1)
SRM_GROWTH: Final = 2
_MERGE: Final = sql.load("experiments", "merge_exposures")
_NEWEST: Final = sql.load("experiments", "newest_of_sources")
_COUNT: Final = sql.load("experiments", "count_exposures")
_SUM: Final = sql.load("experiments", "sum_metric")
_HAS_BEFORE: Final = sql.load("experiments", "has_events_before")


def analyse_running() -> int:
    """Analyse every running experiment, the longest waiting first; gives the snapshots written."""
    waiting = Experiment.objects.filter(state=State.RUNNING).order_by("analysed_at", "pk")
    return sum(len(analyse(pk)) for pk in list(waiting.values_list("pk", flat=True)))


def analyse(experiment_id: int, *, now: datetime | None = None) -> list[AnalysisSnapshot]:
    """Take the looks of one running experiment that are due; oldest first, mostly none or one."""
    if not read_exposures(experiment_id):
        return []  # more wait than the budget took: the next run goes on
    with transaction.atomic():
        experiment = _locked(experiment_id)
        if experiment is None:
            return []
        taken = _take_looks(experiment, now or clock.now())
        Experiment.objects.filter(pk=experiment.pk).update(analysed_at=clock.now())
        return taken


def read_exposures(
    experiment_id: int, *, batch: int = BATCH, budget_seconds: float = BUDGET_SECONDS
) -> bool:
    """Merge the exposure events that wait; False when the budget ended before they did."""
    until = time.monotonic() + budget_seconds
    while True:
        with transaction.atomic():
            experiment = _locked(experiment_id)
            if experiment is None or experiment.started_at is None:
                return True
            read = _merge(experiment, experiment.started_at, batch)
        if read < batch:
            return True
        if time.monotonic() >= until:
            return False


def _locked(experiment_id: int) -> Experiment | None:
    return (
        Experiment.objects.select_for_update(of=("self",))
        .select_related("exposure_stream")
        .filter(pk=experiment_id, state=State.RUNNING)
        .first()
    )


def _merge(experiment: Experiment, since: datetime, batch: int) -> int:
    variants = list(experiment.variants.order_by("position"))
    highs = [sum(v.weight_bps for v in variants[: place + 1]) for place in range(len(variants))]
    row = sql.fetch_one(
        _MERGE,
        {
            "experiment_id": experiment.pk,
            "epoch": experiment.epoch,
            "key": experiment.key,
            "stream_id": experiment.exposure_stream_id,
            "since": since,
            "tx": experiment.read_tx,
            "seq": experiment.read_seq,
            "batch": batch,
            "salt": experiment.salt,
            "allocation_bps": experiment.allocation_bps,
            "keys": [variant.key for variant in variants],
            "lows": [high - v.weight_bps for high, v in zip(highs, variants, strict=True)],
            "highs": highs,
            "alive_since": alive_since(experiment.exposure_stream),
        },
    )
    assert row is not None
    if row["read"]:
        Experiment.objects.filter(pk=experiment.pk).update(read_tx=row["tx"], read_seq=row["seq"])
    return int(row["read"])


@dataclass(frozen=True, slots=True)
class _Reach:
    """How far the streams of an experiment have come."""

    watermark: datetime
    streams: dict[str, dict[str, Any]]


def _reach(experiment: Experiment, now: datetime, previous: datetime | None) -> _Reach:
    """The earliest watermark over the streams; never before the previous one."""
    marks: list[float] = []
    streams: dict[str, dict[str, Any]] = {}
    for stream in streams_of(experiment):
        rows = sql.fetch_all(_NEWEST, {"stream_id": stream.pk, "alive_since": alive_since(stream)})
        found = watermark(
            sources=[
                {
                    "name": row["name"],
                    "max_event_time": row["max_event_time"],
                    "last_received": row["last_received"],
                }
                for row in rows
            ],
            now=now.timestamp(),
            previous=None,
        )
        marks.append(found["watermark"])
        streams[stream.name] = {
            "tx": max((row["tx"] for row in rows), default=0),
            "seq": max((row["seq"] for row in rows), default=0),
            "watermark": datetime.fromtimestamp(found["watermark"], UTC).isoformat(),
            "schema_version": stream.default_version,
        }
    earliest = datetime.fromtimestamp(min(marks), UTC)
    return _Reach(max(earliest, previous) if previous else earliest, streams)


def _take_looks(experiment: Experiment, now: datetime) -> list[AnalysisSnapshot]:
    newest = (
        AnalysisSnapshot.objects.filter(experiment=experiment, epoch=experiment.epoch)
        .order_by("-number")
        .first()
    )
    if newest is not None and newest.final_look:
        return []
    reach = _reach(experiment, now, newest.watermark if newest else None)
    measures = measures_of(experiment)
    taken: list[AnalysisSnapshot] = []
    for moment in _due(experiment, measures, newest, reach.watermark):
        snapshot = _look(experiment, measures, moment, newest, reach)
        is_needed = moment.is_daily or newest is None or not _is_same(snapshot, newest)
        if not is_needed:
            continue
        snapshot.save(force_insert=True)
        taken.append(snapshot)
        newest = snapshot
    return taken


def _is_same(one: AnalysisSnapshot, other: AnalysisSnapshot) -> bool:
    """Whether a look would say nothing that the other did not."""
    return bool(
        one.statistics == other.statistics and one.health["quality"] == other.health["quality"]
    )


@dataclass(frozen=True, slots=True)
class _Moment:
    at: datetime
    is_daily: bool
    is_final: bool


def _due(
    experiment: Experiment,
    measures: Sequence[ExperimentMetric],
    newest: AnalysisSnapshot | None,
    mark: datetime,
) -> list[_Moment]:
    """The moments to look at: days passed since the newest look, the present, the final one."""
    assert experiment.started_at is not None
    assert experiment.planned_end_at is not None
    longest = max(
        (m.metric.delay_seconds + (m.metric.window_seconds or 0) for m in measures), default=0
    )
    final = experiment.planned_end_at + timedelta(seconds=longest)
    last = newest.watermark if newest is not None else experiment.started_at
    end = min(mark, final)
    first_day = int((last - experiment.started_at) / DAY) + 1
    days = int((end - experiment.started_at) / DAY)
    moments = [
        _Moment(experiment.started_at + day * DAY, is_daily=True, is_final=False)
        for day in range(first_day, days + 1)
    ][-MAX_LOOKS:]
    if mark >= final:
        moments = [moment for moment in moments if moment.at < final]
        moments.append(_Moment(final, is_daily=True, is_final=True))
    elif mark > last and (not moments or moments[-1].at < mark):
        moments.append(_Moment(mark, is_daily=False, is_final=False))
    return moments


def _look(
    experiment: Experiment,
    measures: Sequence[ExperimentMetric],
    moment: _Moment,
    newest: AnalysisSnapshot | None,
    reach: _Reach,
) -> AnalysisSnapshot:
    assert experiment.started_at is not None
    variants = list(experiment.variants.order_by("position"))
    policy = experiment.policy
    facts = [_measure(experiment, measure, variants, moment.at) for measure in measures]
    health = _health(experiment, variants, moment, newest)
    look = Look(
        variants=[variant.key for variant in variants],
        control=next(variant.key for variant in variants if variant.is_control),
        alpha=policy["alpha"],
        planned_units=experiment.planned_units,
        final_look=moment.is_final,
        frozen=health["srm"]["status"] == "alarm",
    )
    results = read_measures(facts, look)
    verdict = verdict_of(
        facts_of(
            results,
            health,
            alpha=policy["alpha"],
            runtime_days=int((moment.at - experiment.started_at) / DAY),
            final_look=moment.is_final,
        ),
        policy,
        results,
        health,
        {variant.key: variant.name for variant in variants},
    )
    statistics = {
        "exposures": health.pop("counts"),
        "metrics": {
            f"{fact.key}@{fact.version}": {
                "cap": fact.cap,
                "has_pre_period": fact.has_pre_period,
                "arms": {key: asdict(sums) for key, sums in fact.arms.items()},
            }
            for fact in facts
        },
    }
    inputs = {
        "streams": reach.streams,
        "read": {"tx": experiment.read_tx, "seq": experiment.read_seq},
        "metrics": {measure.metric.key: measure.metric.version for measure in measures},
        "policy": policy,
        "planned_units": experiment.planned_units,
        "statistics_version": STATISTICS_VERSION,
    }
    content = {
        "watermark": moment.at.isoformat(),
        "inputs": inputs,
        "statistics": statistics,
        "health": health,
        "results": results,
        "verdict": verdict,
    }
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    return AnalysisSnapshot(
        experiment=experiment,
        number=(newest.number if newest is not None else 0) + 1,
        epoch=experiment.epoch,
        taken_at=clock.now(),
        watermark=moment.at,
        is_daily=moment.is_daily,
        final_look=moment.is_final,
        inputs=inputs,
        # As it comes back from the database, so that looks can be compared.
        statistics=json.loads(json.dumps(statistics)),
        health=health,
        results=results,
        verdict=verdict,
        content_hash=hashlib.sha256(canonical).digest(),
    )


def _measure(
    experiment: Experiment,
    measure: ExperimentMetric,
    variants: Sequence[Variant],
    as_of: datetime,
) -> MeasureFacts:
    metric = measure.metric
    assert experiment.started_at is not None
    has_pre_period = bool(
        (sql.fetch_one(_HAS_BEFORE, {
            "stream_id": metric.stream_id,
            "moment": experiment.started_at - PRE_PERIOD,
            "alive_since": alive_since(metric.stream),
        }) or {})["found"]
    )  # fmt: skip
    path = metric.value_path.split(".") if metric.value_path else []
    lives = FieldLives.of(metric.stream)
    rows = sql.fetch_all(
        _SUM,
        {
            "experiment_id": experiment.pk,
            "epoch": experiment.epoch,
            "stream_id": metric.stream_id,
            "since": experiment.started_at,
            "as_of": as_of,
            "delay": timedelta(seconds=metric.delay_seconds),
            "length": (timedelta(seconds=metric.window_seconds) if metric.window_seconds else None),
            "type": metric.type,
            "path": path,
            "filter": json.dumps(metric.where) if metric.where is not None else None,
            "cap_at": metric.winsorize_at,
            "before": PRE_PERIOD if has_pre_period else None,
            "alive_since": alive_since(metric.stream),
            "value_since": lives.since(sample_at(path)),
            "filter_since": lives.since(metric.where),
        },
    )
    known = {variant.key for variant in variants}
    names = ArmSums.__dataclass_fields__
    return MeasureFacts(
        key=metric.key,
        version=metric.version,
        name=metric.name,
        role=measure.role,
        type=metric.type,
        better=metric.better,
        unit=metric.unit,
        unit_scale=metric.unit_scale,
        stream=metric.stream.name,
        arms={
            row["variant"]: ArmSums(**{name: row[name] for name in names})
            for row in rows
            if row["variant"] in known
        },
        margin=measure.margin,
        margin_kind=measure.margin_kind,
        critical=measure.critical,
        has_value=bool(metric.value_path),
        window_seconds=metric.window_seconds,
        cap=rows[0]["cap"] if rows else None,
        has_pre_period=has_pre_period,
    )


def _health(
    experiment: Experiment,
    variants: Sequence[Variant],
    moment: _Moment,
    newest: AnalysisSnapshot | None,
) -> dict[str, Any]:
    rows = sql.fetch_all(
        _COUNT,
        {"experiment_id": experiment.pk, "epoch": experiment.epoch, "as_of": moment.at},
    )
    counts = {row["variant"]: row for row in rows}
    units = sum(row["first"] for row in rows)
    crossed = sum(row["crossed"] for row in rows)
    mismatched = sum(row["mismatched"] for row in rows)
    first = {v.key: int(counts.get(v.key, {}).get("first", 0)) for v in variants}
    in_alarm = (
        Check.objects.filter(
            stream__in=[stream.pk for stream in streams_of(experiment)],
            state__in=["alarm", "remediating"],
        )
        .order_by("stream__name")
        .values_list("stream__name", flat=True)
        .distinct()
    )
    quality_streams = list(in_alarm)
    return {
        "first": first,
        "unknown_variants": units - sum(first.values()),
        "units": units,
        "multi_exposed": crossed,
        "multi_rate": crossed / units if units else 0.0,
        "mismatched": mismatched,
        "mismatch_rate": mismatched / units if units else 0.0,
        "srm": _split_test(variants, first, moment, newest),
        "quality": "alarm" if quality_streams else "ok",
        "quality_streams": quality_streams,
        "counts": {
            row["variant"]: {
                "first": int(row["first"]),
                "crossed": int(row["crossed"]),
                "mismatched": int(row["mismatched"]),
                "times": int(row["times"]),
            }
            for row in rows
            if row["variant"] in first  # what an event made up is kept nowhere for good
        },
    }


def _split_test(
    variants: Sequence[Variant],
    first: Mapping[str, int],
    moment: _Moment,
    newest: AnalysisSnapshot | None,
) -> dict[str, Any]:
    """The split as it was tested last: daily, at the final look, and once the units have doubled.

    Testing at every look would find an uneven split by chance (§6.1: hourly 2.4 % instead of 0.9 %).
    """
    before = newest.health["srm"] if newest is not None else None
    units = sum(first.values())
    settled = before is not None and before["status"] != "insufficient"
    if (
        settled
        and before is not None
        and not moment.is_daily
        and units < SRM_GROWTH * before["units"]
    ):
        return dict(before)
    weights = [variant.weight_bps for variant in variants]
    found = srm(observed=[first[variant.key] for variant in variants], weights=weights)
    return {
        **found,
        "units": units,
        "expected": {v.key: units * v.weight_bps / sum(weights) for v in variants},
        "tested_at": moment.at.isoformat(),
    }
