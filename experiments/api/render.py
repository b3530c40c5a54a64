"""The JSON shapes of experiments: one function each."""

from typing import Any

from experiments.models import AnalysisSnapshot, Experiment, Metric
from experiments.selectors.experiments import measures_of


def experiment(row: Experiment) -> dict[str, Any]:
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


def experiment_whole(row: Experiment) -> dict[str, Any]:
    """An experiment with its variants and what it measures."""
    return experiment(row) | {
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


def metric(row: Metric) -> dict[str, Any]:
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


def snapshot(row: AnalysisSnapshot) -> dict[str, Any]:
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
