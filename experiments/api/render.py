"""The JSON shapes of experiments, and the one function that makes each."""

from typing import Any, TypedDict

from experiments.models import AnalysisSnapshot, Experiment, Metric
from experiments.selectors.experiments import measures_of
from portal.http.operations import Time


class ExperimentBody(TypedDict):
    key: str
    title: str
    hypothesis: str
    owner: str | None
    state: str
    salt: str
    epoch: int
    unit: str
    allocation_bps: int
    targeting: dict[str, Any] | None
    exposure_stream: str
    planned_units: int
    planned_days: int
    policy: dict[str, Any]
    started_at: Time | None
    started_by: str | None
    planned_end_at: Time | None
    ended_at: Time | None
    created_at: Time
    created_by: str | None
    updated_at: Time
    revision: int


class VariantBody(TypedDict):
    key: str
    name: str
    description: str
    weight_bps: int
    control: bool


class MeasureBody(TypedDict):
    metric: str
    version: int
    role: str
    margin: float | None
    margin_kind: str | None
    critical: bool


class ExperimentDetailBody(ExperimentBody):
    variants: list[VariantBody]
    metrics: list[MeasureBody]


def experiment(row: Experiment) -> ExperimentBody:
    return {
        "key": row.key,
        "title": row.title,
        "hypothesis": row.hypothesis,
        "owner": row.owner_team.slug if row.owner_team else None,
        "state": row.state,
        "salt": row.salt,
        "epoch": row.epoch,
        "unit": row.unit,
        "allocation_bps": row.allocation_bps,
        "targeting": row.targeting,
        "exposure_stream": row.exposure_stream.name,
        "planned_units": row.planned_units,
        "planned_days": row.planned_days,
        "policy": row.policy,
        "started_at": row.started_at,
        "started_by": row.started_by or None,
        "planned_end_at": row.planned_end_at,
        "ended_at": row.ended_at,
        "created_at": row.created_at,
        "created_by": row.created_by or None,
        "updated_at": row.updated_at,
        "revision": row.revision,
    }


def experiment_whole(row: Experiment) -> ExperimentDetailBody:
    """An experiment with its variants and what it measures."""
    return {
        **experiment(row),
        "variants": [
            {
                "key": variant.key,
                "name": variant.name,
                "description": variant.description,
                "weight_bps": variant.weight_bps,
                "control": variant.is_control,
            }
            for variant in row.variants.order_by("position")
        ],
        "metrics": [
            {
                "metric": measure.metric.key,
                "version": measure.metric.version,
                "role": measure.role,
                "margin": measure.margin,
                "margin_kind": measure.margin_kind if measure.margin is not None else None,
                "critical": measure.critical,
            }
            for measure in measures_of(row)
        ],
    }


class MetricBody(TypedDict):
    key: str
    version: int
    name: str
    description: str
    owner: str | None
    stream: str
    type: str
    where: dict[str, Any] | None
    value_path: str | None
    unit: str | None
    unit_scale: int
    better: str
    delay_seconds: int
    window_seconds: int | None
    winsorize_at: float | None
    created_at: Time
    created_by: str | None


def metric(row: Metric) -> MetricBody:
    return {
        "key": row.key,
        "version": row.version,
        "name": row.name,
        "description": row.description,
        "owner": row.owner_team.slug if row.owner_team else None,
        "stream": row.stream.name,
        "type": row.type,
        "where": row.where,
        "value_path": row.value_path or None,
        "unit": row.unit or None,
        "unit_scale": row.unit_scale,
        "better": row.better,
        "delay_seconds": row.delay_seconds,
        "window_seconds": row.window_seconds,
        "winsorize_at": row.winsorize_at,
        "created_at": row.created_at,
        "created_by": row.created_by or None,
    }


class SnapshotBody(TypedDict):
    number: int
    epoch: int
    taken_at: Time
    watermark: Time | None
    daily: bool
    final_look: bool
    inputs: Any
    statistics: Any
    health: Any
    results: Any
    verdict: Any
    sha256: str


class ResultsBody(TypedDict):
    experiment: str
    state: str
    items: list[SnapshotBody]
    next: str | None


def snapshot(row: AnalysisSnapshot) -> SnapshotBody:
    return {
        "number": row.number,
        "epoch": row.epoch,
        "taken_at": row.taken_at,
        "watermark": row.watermark,
        "daily": row.is_daily,
        "final_look": row.final_look,
        "inputs": row.inputs,
        "statistics": row.statistics,
        "health": row.health,
        "results": row.results,
        "verdict": row.verdict,
        "sha256": bytes(row.content_hash).hex(),
    }
