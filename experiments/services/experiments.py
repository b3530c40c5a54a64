"""Writing experiments: made as drafts, started once; what decides is fixed from then on."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import F

from catalog.models import Stream
from experiments.models import Experiment, ExperimentMetric, Metric, Variant
from experiments.selectors.experiments import streams_of
from experiments.services.permissions import require_author, require_owner
from experiments.targeting import check_rule
from experiments.types import KEY_PATTERN, WEIGHTS_TOTAL, MarginKind, Role, State
from governance import access, audit
from governance.models import Team
from governance.types import Permission
from portal.kernel import clock, jobs
from portal.kernel.actor import Actor
from portal.kernel.errors import ConflictError, FieldError, InvalidError, InvalidStateError
from portal.kernel.once import only_once

MAX_VARIANTS: Final = 10
MAX_MEASURES: Final = 30
MAX_PRIMARIES: Final = 3
MAX_DAYS: Final = 42
POLICY_DEFAULTS: Final[Mapping[str, Any]] = {
    "policy": "default_promotion",
    "version": 1,
    "autonomy": "propose",
    "alpha": 0.05,
    "min_units": 1000,
    "min_days": 7,
    "max_multi_rate": 0.01,
    "on_neutral": "stop",
    "approval": "required",
}
_TRANSITIONS: Final[Mapping[State, tuple[State, ...]]] = {
    State.RUNNING: (State.DRAFT, State.READY),
    State.STOPPED_INCONCLUSIVE: (State.RUNNING, State.HELD, State.DECIDING),
}
_KEY: Final = re.compile(KEY_PATTERN)


@dataclass(frozen=True, slots=True)
class NewVariant:
    """A variant of a draft. Weights are hundredths of a percent; those of all sum to 10,000."""

    key: str
    weight_bps: int
    name: str = ""
    description: str = ""
    is_control: bool = False


@dataclass(frozen=True, slots=True)
class NewMeasure:
    """A metric in its role; a guardrail names the margin it may not be worse by."""

    metric: Metric
    role: str = Role.PRIMARY
    margin: float | None = None
    margin_kind: str = MarginKind.RELATIVE
    critical: bool = False


@dataclass(frozen=True, slots=True)
class NewExperiment:
    """A draft. `planned_units` is the plan for all arms together; the salt is the key unless said.

    Without a marked control the first variant is it.
    """

    key: str
    title: str
    exposure_stream: Stream
    variants: Sequence[NewVariant]
    measures: Sequence[NewMeasure]
    planned_units: int
    planned_days: int = 14
    hypothesis: str = ""
    owner_team: Team | None = None
    salt: str = ""
    allocation_bps: int = WEIGHTS_TOTAL
    targeting: Mapping[str, Any] | None = None
    policy: Mapping[str, Any] = field(default_factory=dict)


@transaction.atomic
def create_experiment(new: NewExperiment, *, actor: Actor) -> Experiment:
    """Make a draft over streams that the actor may know of. Raises InvalidError with every fault."""
    require_author(actor, new.owner_team)
    for stream in {new.exposure_stream, *(measure.metric.stream for measure in new.measures)}:
        access.require(actor, Permission.DISCOVER, stream)
    faults = [*_plan_faults(new), *_variant_faults(new), *_measure_faults(new)]
    if faults:
        raise InvalidError("The experiment breaks a rule.", errors=faults)
    if Experiment.objects.filter(key=new.key).exists():
        raise ConflictError("There is an experiment of this key already.", code="name_taken")
    if Experiment.objects.filter(salt=new.salt or new.key).exists():
        raise ConflictError("Another experiment has this salt.", code="salt_taken")
    with only_once("There is an experiment of this key or salt already."):
        experiment = Experiment.objects.create(
            key=new.key,
            title=new.title,
            hypothesis=new.hypothesis,
            owner_team=new.owner_team,
            salt=new.salt or new.key,
            allocation_bps=new.allocation_bps,
            targeting=new.targeting,
            exposure_stream=new.exposure_stream,
            planned_units=new.planned_units,
            planned_days=new.planned_days,
            policy={**POLICY_DEFAULTS, **new.policy},
            created_by=actor.label,
        )
    has_control = any(variant.is_control for variant in new.variants)
    Variant.objects.bulk_create(
        Variant(
            experiment=experiment,
            position=position,
            key=variant.key,
            name=variant.name or variant.key,
            description=variant.description,
            weight_bps=variant.weight_bps,
            is_control=variant.is_control or (not has_control and position == 0),
        )
        for position, variant in enumerate(new.variants)
    )
    ExperimentMetric.objects.bulk_create(
        ExperimentMetric(
            experiment=experiment,
            metric=measure.metric,
            position=position,
            role=measure.role,
            margin=measure.margin,
            margin_kind=measure.margin_kind,
            critical=measure.critical,
        )
        for position, measure in enumerate(new.measures)
    )
    audit.record(
        actor,
        "experiment.created",
        experiment.ref,
        summary=f"made the experiment {experiment.key} as a draft",
        after={
            "variants": {variant.key: variant.weight_bps for variant in new.variants},
            "metrics": {measure.metric.key: measure.role for measure in new.measures},
        },
    )
    return experiment


@transaction.atomic
def start_experiment(
    experiment: Experiment, *, actor: Actor, at: datetime | None = None
) -> Experiment:
    """Start a draft. From now on weights, salt, variants, unit, targeting and policy stand.

    `at` is an earlier start for histories that are loaded; only the portal itself gives it.
    """
    require_owner(actor, experiment)
    for stream in streams_of(experiment):
        access.require(actor, Permission.DISCOVER, stream)
    if at is not None and not actor.is_system:
        raise InvalidError("An experiment starts now.", code="started_at")
    started = at or clock.now()
    _move(
        experiment,
        State.RUNNING,
        started_at=started,
        started_by=actor.label,
        planned_end_at=started + timedelta(days=experiment.planned_days),
    )
    audit.record(
        actor,
        "experiment.started",
        experiment.ref,
        summary=f"started {experiment.key} for {experiment.planned_days} days",
        before={"state": State.DRAFT},
        after={"state": State.RUNNING, "epoch": experiment.epoch, "policy": experiment.policy},
    )
    jobs.enqueue("experiments.analyse_one", experiment_id=experiment.pk)
    return experiment


@transaction.atomic
def stop_experiment(experiment: Experiment, *, actor: Actor, reason: str) -> Experiment:
    """End a running experiment without a decision; its readings stay as they are."""
    require_owner(actor, experiment)
    if not 0 < len(reason.strip()) <= 2000:
        raise InvalidError(
            "Stopping needs a reason.",
            errors=[FieldError("/reason", "length", "1 to 2,000 characters")],
        )
    before = experiment.state
    _move(experiment, State.STOPPED_INCONCLUSIVE, ended_at=clock.now())
    audit.record(
        actor,
        "experiment.stopped",
        experiment.ref,
        summary=f"stopped {experiment.key}: {reason.strip()}",
        before={"state": before},
        after={"state": State.STOPPED_INCONCLUSIVE},
    )
    return experiment


def _move(experiment: Experiment, to: State, **changes: Any) -> None:
    moved = Experiment.objects.filter(pk=experiment.pk, state__in=_TRANSITIONS[to]).update(
        state=to, revision=F("revision") + 1, updated_at=clock.now(), **changes
    )
    if not moved:
        raise InvalidStateError(
            f"From {experiment.get_state_display().lower()} it cannot become {to.label.lower()}."
        )
    experiment.refresh_from_db()


def _plan_faults(new: NewExperiment) -> list[FieldError]:
    faults = []
    if not _KEY.fullmatch(new.key):
        faults.append(FieldError("/key", "pattern", "1 to 64 of A-Z a-z 0-9 . _ -"))
    if new.salt and not _KEY.fullmatch(new.salt):
        faults.append(FieldError("/salt", "pattern", "1 to 64 of A-Z a-z 0-9 . _ -"))
    if not 0 < len(new.title) <= 200:
        faults.append(FieldError("/title", "length", "needs 1 to 200 characters"))
    if not 0 <= new.allocation_bps <= WEIGHTS_TOTAL:
        faults.append(FieldError("/allocation_bps", "range", "0 to 10,000"))
    if not 0 < new.planned_units < 2**31:
        faults.append(FieldError("/planned_units", "range", "at least 1"))
    if not 1 <= new.planned_days <= MAX_DAYS:
        faults.append(FieldError("/planned_days", "range", f"1 to {MAX_DAYS} days"))
    faults += _policy_faults(new.policy)
    if new.targeting is not None:
        try:
            check_rule(new.targeting)
        except ValueError as error:
            faults.append(FieldError("/targeting", "rule", str(error)))
    return faults


_POLICY_RULES: Final[Mapping[str, tuple[Callable[[Any], bool], str]]] = {
    "policy": (lambda v: isinstance(v, str) and bool(_KEY.fullmatch(v)), "a name"),
    "version": (lambda v: _is_number(v) and v >= 1, "from 1"),
    "autonomy": (lambda v: v in ("observe", "propose"), "observe or propose"),
    "alpha": (lambda v: _is_number(v) and 0.0001 <= v <= 0.2, "0.0001 to 0.2"),
    "min_units": (lambda v: _is_number(v) and v >= 1, "at least 1"),
    "min_days": (lambda v: _is_number(v) and v >= 0, "0 or more"),
    "max_multi_rate": (lambda v: _is_number(v) and 0 <= v <= 1, "0 to 1"),
    "on_neutral": (lambda v: v in ("stop", "promote"), "stop or promote"),
    "approval": (lambda v: v in ("required", "when_cost", "none"), "required, when_cost, none"),
}


def _policy_faults(policy: Mapping[str, Any]) -> list[FieldError]:
    faults = []
    for name, value in policy.items():
        if name not in _POLICY_RULES:
            faults.append(FieldError("/policy", "unknown", "holds an unknown member"))
        elif not _POLICY_RULES[name][0](value):
            faults.append(FieldError(f"/policy/{name}", "value", _POLICY_RULES[name][1]))
    return faults


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _variant_faults(new: NewExperiment) -> list[FieldError]:
    faults = []
    keys = [variant.key for variant in new.variants]
    if not 2 <= len(keys) <= MAX_VARIANTS:
        faults.append(FieldError("/variants", "size", f"2 to {MAX_VARIANTS} variants"))
    if len(set(keys)) != len(keys):
        faults.append(FieldError("/variants", "repeated", "each key once"))
    for place, variant in enumerate(new.variants):
        if not _KEY.fullmatch(variant.key):
            faults.append(
                FieldError(f"/variants/{place}/key", "pattern", "1 to 64 of A-Z a-z 0-9 . _ -")
            )
    if any(variant.weight_bps < 0 for variant in new.variants) or (
        sum(variant.weight_bps for variant in new.variants) != WEIGHTS_TOTAL
    ):
        faults.append(FieldError("/variants", "weights", "weights are 0 or more and sum to 10,000"))
    if sum(variant.is_control for variant in new.variants) > 1:
        faults.append(FieldError("/variants", "control", "one control"))
    return faults


def _measure_faults(new: NewExperiment) -> list[FieldError]:
    faults = []
    primaries = sum(measure.role == Role.PRIMARY for measure in new.measures)
    if not 1 <= primaries <= MAX_PRIMARIES or len(new.measures) > MAX_MEASURES:
        faults.append(
            FieldError(
                "/metrics",
                "size",
                f"1 to {MAX_PRIMARIES} primaries, {MAX_MEASURES} metrics at most",
            )
        )
    keys = [measure.metric.key for measure in new.measures]
    if len(set(keys)) != len(keys):
        faults.append(FieldError("/metrics", "repeated", "each metric once"))
    for place, measure in enumerate(new.measures):
        where = f"/metrics/{place}"
        if measure.role not in Role.values:
            faults.append(FieldError(f"{where}/role", "unknown", "primary, secondary, guardrail"))
        if measure.margin_kind not in MarginKind.values:
            faults.append(FieldError(f"{where}/margin_kind", "unknown", "relative or absolute"))
        if (measure.role == Role.GUARDRAIL) != (measure.margin is not None):
            faults.append(
                FieldError(f"{where}/margin", "guardrail", "of guardrails, and only them")
            )
        elif measure.margin is not None and not 0 < measure.margin < 1e9:
            faults.append(FieldError(f"{where}/margin", "range", "above 0"))
    return faults
