"""What bodies about experiments hold, read strictly into the values of the services."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

from catalog.selectors.streams import get_stream
from experiments.models import Metric
from experiments.selectors.experiments import visible_metrics
from experiments.services.experiments import NewExperiment, NewMeasure, NewVariant
from experiments.services.metrics import NewMetric
from experiments.types import KEY_PATTERN, WEIGHTS_TOTAL
from governance.models import Team
from portal.http import bodies
from portal.http.bodies import Body
from portal.http.described import Described
from portal.kernel.actor import Actor
from portal.kernel.errors import (
    BadRequestError,
    FieldError,
    InvalidError,
    NotFoundError,
    PortalError,
)

T = TypeVar("T")
MAX_ITEMS: Final = 50


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("must be a number")
    if abs(value) > 1e15:
        raise ValueError("is too large")
    return float(value)


def _items(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("must be a list of objects")
    if len(value) > MAX_ITEMS:
        raise ValueError(f"may have {MAX_ITEMS} entries at most")
    return value


def _items_of(body: Body) -> Described:
    return Described(_items, {"type": "array", "maxItems": MAX_ITEMS, "items": body.schema})


KEY: Final = bodies.name(KEY_PATTERN.strip("^$"), 64)
NUMBER: Final = Described(_number, {"type": "number"})
VARIANT: Final = Body(
    required={"key": KEY, "weight_bps": bodies.integer(0, WEIGHTS_TOTAL)},
    optional={
        "name": bodies.text(200),
        "description": bodies.text(2000),
        "control": bodies.boolean,
    },
)
MEASURE: Final = Body(
    required={"metric": KEY},
    optional={
        "version": bodies.integer(1, 2**31 - 1),
        "role": bodies.choice(("primary", "secondary", "guardrail")),
        "margin": bodies.nullable(NUMBER),
        "margin_kind": bodies.choice(("relative", "absolute")),
        "critical": bodies.boolean,
    },
)
NEW_EXPERIMENT: Final = Body(
    required={
        "key": KEY,
        "title": bodies.text(200),
        "exposure_stream": bodies.text(255),
        "variants": _items_of(VARIANT),
        "metrics": _items_of(MEASURE),
        "planned_units": bodies.integer(1, 2**31 - 1),
    },
    optional={
        "hypothesis": bodies.text(4000),
        "owner": bodies.nullable(bodies.text(60)),
        "salt": KEY,
        "allocation_bps": bodies.integer(0, WEIGHTS_TOTAL),
        "targeting": bodies.nullable(bodies.document),
        "planned_days": bodies.integer(1, 366),
        "policy": bodies.document,
    },
)
NEW_METRIC: Final = Body(
    required={
        "key": KEY,
        "name": bodies.text(200),
        "stream": bodies.text(255),
        "type": bodies.text(12),
    },
    optional={
        "description": bodies.text(4000),
        "owner": bodies.nullable(bodies.text(60)),
        "where": bodies.nullable(bodies.document),
        "value_path": bodies.text(200),
        "unit": bodies.text(20),
        "unit_scale": bodies.integer(1, 10**9),
        "better": bodies.choice(("higher", "lower")),
        "delay_seconds": bodies.integer(0, 2**31 - 1),
        "window_seconds": bodies.nullable(bodies.integer(1, 2**31 - 1)),
        "winsorize_at": bodies.nullable(NUMBER),
    },
)


def new_experiment(body: object, actor: Actor) -> NewExperiment:
    """A draft as a body describes it."""
    found = NEW_EXPERIMENT.read(body)
    optional = ("hypothesis", "salt", "allocation_bps", "targeting", "planned_days", "policy")
    return NewExperiment(
        key=found["key"],
        title=found["title"],
        exposure_stream=_rooted(
            "/exposure_stream", lambda: _stream(actor, found["exposure_stream"])
        ),
        variants=_each("/variants", found["variants"], _variant),
        measures=_each("/metrics", found["metrics"], lambda row: _measure(row, actor)),
        planned_units=found["planned_units"],
        owner_team=_team(found.get("owner")),
        **{name: found[name] for name in optional if name in found},
    )


def new_metric(body: object, actor: Actor) -> NewMetric:
    """A metric as a body describes it."""
    found = NEW_METRIC.read(body)
    named = {"key", "name", "stream", "type", "owner"}
    return NewMetric(
        key=found["key"],
        name=found["name"],
        stream=_rooted("/stream", lambda: _stream(actor, found["stream"])),
        type=found["type"],
        owner_team=_team(found.get("owner")),
        **{name: value for name, value in found.items() if name not in named},
    )


def _variant(row: object) -> NewVariant:
    found = VARIANT.read(row)
    return NewVariant(
        key=found["key"],
        weight_bps=found["weight_bps"],
        name=found.get("name", ""),
        description=found.get("description", ""),
        is_control=found.get("control", False),
    )


def _measure(row: object, actor: Actor) -> NewMeasure:
    found = MEASURE.read(row)
    optional = ("role", "margin", "margin_kind", "critical")
    return NewMeasure(
        metric=_metric(actor, found["metric"], found.get("version")),
        **{name: found[name] for name in optional if name in found},
    )


def _metric(actor: Actor, key: str, version: int | None) -> Metric:
    rows = visible_metrics(actor).filter(key=key)
    if version is not None:
        rows = rows.filter(version=version)
    found = rows.order_by("-version").first()
    if found is None:
        raise InvalidError(
            "The metric is not known.",
            errors=[FieldError("/metric", "unknown", "give the key of a metric")],
        )
    return found


def _stream(actor: Actor, name: str) -> Any:
    try:
        return get_stream(actor, name)
    except NotFoundError:
        raise InvalidError(
            "The stream is not known.",
            errors=[FieldError("", "unknown", "give the name of a stream")],
        ) from None


def _team(slug: str | None) -> Team | None:
    if slug is None:
        return None
    found = Team.objects.filter(slug=slug).first()
    if found is None:
        raise InvalidError(
            "The team is not known.",
            errors=[FieldError("/owner", "unknown", "give the slug of a team")],
        )
    return found


def _each(pointer: str, rows: list[Any], read: Callable[[Any], T]) -> list[T]:
    return [
        _rooted(f"{pointer}/{place}", lambda row=row: read(row))  # type: ignore[misc]  # bound now
        for place, row in enumerate(rows)
    ]


def _rooted(pointer: str, read: Callable[[], T]) -> T:
    """Run a reader and let its errors point into the whole body."""
    try:
        return read()
    except (BadRequestError, InvalidError) as error:
        errors = [FieldError(pointer + e.pointer, e.code, e.detail) for e in error.errors]
        kind: type[PortalError] = type(error)
        raise kind(
            error.detail, errors=errors or [FieldError(pointer, "unreadable", error.detail)]
        ) from None
