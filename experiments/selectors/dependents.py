"""What of experiments reads which fields of a stream: for whoever is about to change it."""

from typing import Any, Final

from catalog.impact import Dependent
from catalog.models import Stream
from experiments.models import Experiment, ExperimentMetric, Metric
from experiments.types import State

MOST: Final = 200
LIVE: Final = (
    State.READY, State.RUNNING, State.DECIDING, State.AWAITING_APPROVAL, State.ROLLING_OUT,
    State.HELD,
)  # fmt: skip


def metrics_on(stream: Stream) -> list[Dependent]:
    """The newest version of each metric over the stream, with the fields it reads."""
    newest: dict[str, Metric] = {}
    for metric in Metric.objects.filter(stream=stream).order_by("key", "-version")[:MOST]:
        newest.setdefault(metric.key, metric)
    return [
        Dependent(
            key=metric.key,
            title=metric.name,
            url=f"/api/v1/metrics/{metric.key}",
            fields=fields_read(metric),
        )
        for metric in newest.values()
    ]


def experiments_on(stream: Stream) -> list[Dependent]:
    """Experiments that are not over and read the stream, by a metric or for their exposures."""
    fields: dict[int, set[str]] = {}
    live = Experiment.objects.filter(state__in=LIVE)
    for experiment in live.filter(exposure_stream=stream).order_by("key")[:MOST]:
        fields.setdefault(experiment.pk, set()).update(("experiment", "variant"))
    measured = ExperimentMetric.objects.filter(
        metric__stream=stream, experiment__in=live.values("pk")
    ).select_related("metric")
    for measure in measured[:MOST]:
        fields.setdefault(measure.experiment_id, set()).update(fields_read(measure.metric))
    return [
        Dependent(
            key=experiment.key,
            title=experiment.title,
            url=f"/experiments/{experiment.key}/",
            fields=tuple(sorted(fields[experiment.pk])),
            is_running=experiment.state == State.RUNNING,
        )
        for experiment in live.filter(pk__in=fields).order_by("key")
    ]


def fields_read(metric: Metric) -> tuple[str, ...]:
    """The paths that a metric looks at: its value's, and those its filter names."""
    paths = set(_leaves(metric.where or {}, ""))
    if metric.value_path:
        paths.add(metric.value_path)
    return tuple(sorted(paths))


def _leaves(where: dict[str, Any], path: str) -> list[str]:
    found = []
    for name, value in where.items():
        place = f"{path}.{name}" if path else name
        found += _leaves(value, place) if isinstance(value, dict) and value else [place]
    return found
