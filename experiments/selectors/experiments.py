"""Reading experiments and metrics: one object through one door, with visibility built in.

Whoever is signed in may read an experiment, unless it stands on a stream they may not know of: then
it does not exist for them, since its page names that stream.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from django.db.models import Q, QuerySet

from catalog.models import Stream
from experiments.models import AnalysisSnapshot, Experiment, ExperimentMetric, Metric
from experiments.types import KEY_PATTERN, State
from governance import access
from portal.kernel.actor import Actor
from portal.kernel.errors import NotFoundError

_KEY: Final = re.compile(KEY_PATTERN)


def visible_experiments(actor: Actor) -> QuerySet[Experiment]:
    """Experiments the actor may read, with owner and exposure stream at hand."""
    rows = Experiment.objects.select_related("owner_team", "exposure_stream")
    if actor.is_system:
        return rows
    known = access.discoverable(actor, Stream.objects.all()).values("pk")
    hidden = ExperimentMetric.objects.exclude(metric__stream__in=known).values("experiment")
    return rows.filter(exposure_stream__in=known).exclude(pk__in=hidden)


def get_experiment(actor: Actor, key: str) -> Experiment:
    """One experiment by key; NotFoundError for missing and forbidden alike."""
    found = None
    if _KEY.fullmatch(key):
        found = visible_experiments(actor).filter(key=key).first()
    if found is None:
        raise NotFoundError
    return found


def visible_metrics(actor: Actor) -> QuerySet[Metric]:
    """Metric versions over streams that the actor may know of."""
    known = access.discoverable(actor, Stream.objects.all()).values("pk")
    return Metric.objects.select_related("stream", "owner_team").filter(stream__in=known)


def get_metric(actor: Actor, key: str, *, version: int | None = None) -> Metric:
    """A version of a metric, the newest unless said; NotFoundError for missing and forbidden."""
    rows = visible_metrics(actor).filter(key=key) if _KEY.fullmatch(key) else Metric.objects.none()
    if version is not None:
        rows = rows.filter(version=version)
    found = rows.order_by("-version").first()
    if found is None:
        raise NotFoundError
    return found


def newest_metric(key: str) -> Metric | None:
    """The newest version of a metric; None when there is none of this key."""
    return Metric.objects.filter(key=key).order_by("-version").first()


def measures_of(experiment: Experiment) -> list[ExperimentMetric]:
    """What the experiment measures, in declared order, with metric and stream at hand."""
    return list(experiment.measures.select_related("metric__stream").order_by("position"))


def streams_of(experiment: Experiment) -> list[Stream]:
    """The streams the experiment stands on, the exposure stream first, each once."""
    found = {experiment.exposure_stream_id: experiment.exposure_stream}
    for measure in measures_of(experiment):
        found.setdefault(measure.metric.stream_id, measure.metric.stream)
    return list(found.values())


def assignable(experiment: Experiment) -> Mapping[str, Any]:
    """The configuration that `experiments.assignment.assign_variant` takes."""
    found: dict[str, Any] = {
        "salt": experiment.salt,
        "allocation_bps": experiment.allocation_bps,
        "status": "running" if experiment.state == State.RUNNING else "stopped",
        "variants": [
            {"key": variant.key, "weight_bps": variant.weight_bps}
            for variant in experiment.variants.order_by("position")
        ],
    }
    if experiment.targeting is not None:
        found["targeting"] = experiment.targeting
    return found


def snapshots_of(experiment: Experiment) -> QuerySet[AnalysisSnapshot]:
    """Every reading of an experiment."""
    return AnalysisSnapshot.objects.filter(experiment=experiment)


def newest_snapshots(experiments: list[Experiment]) -> dict[int, AnalysisSnapshot]:
    """The newest reading of each experiment that has one, by the experiment's id; one query."""
    rows = (
        AnalysisSnapshot.objects.filter(experiment__in=experiments)
        .order_by("experiment_id", "-number")
        .distinct("experiment_id")
    )
    return {row.experiment_id: row for row in rows}


def search_experiments(actor: Actor, *, text: str = "", state: str = "") -> QuerySet[Experiment]:
    """Visible experiments whose key, title or hypothesis holds the text, in a state if given."""
    rows = visible_experiments(actor)
    if state:
        rows = rows.filter(state=state)
    if text:
        rows = rows.filter(
            Q(key__icontains=text) | Q(title__icontains=text) | Q(hypothesis__icontains=text)
        )
    return rows
