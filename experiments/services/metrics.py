"""Writing metrics. A change is a new version, so that running experiments keep theirs."""

import re
from dataclasses import dataclass
from typing import Any, Final

from django.db import transaction

from catalog.models import Stream
from experiments.models import Metric
from experiments.selectors.experiments import newest_metric
from experiments.services.permissions import require_author, require_owner
from experiments.types import KEY_PATTERN, READABLE_TYPES, Better, MetricType
from governance import access, audit
from governance.models import Team
from governance.projection import projection
from governance.types import Permission
from portal.kernel.actor import Actor
from portal.kernel.errors import FieldError, InvalidError, NotPermittedError
from portal.kernel.once import only_once

REVENUE_CAP: Final = 0.999
CONVERSION_WINDOW_SECONDS: Final = 7 * 86_400
VALUED: Final = frozenset({MetricType.MEAN, MetricType.REVENUE})
MAX_WINDOW_SECONDS: Final = 90 * 86_400
_KEY: Final = re.compile(KEY_PATTERN)
_PATH: Final = re.compile(r"[A-Za-z0-9_$-]+(\.[A-Za-z0-9_$-]+){0,15}")


@dataclass(frozen=True, slots=True)
class NewMetric:
    """What a metric says. `where` is an object that an event's data must contain."""

    key: str
    name: str
    stream: Stream
    type: str
    description: str = ""
    owner_team: Team | None = None
    where: dict[str, Any] | None = None
    value_path: str = ""
    unit: str = ""
    unit_scale: int = 1
    better: str = Better.HIGHER
    delay_seconds: int = 0
    window_seconds: int | None = None
    winsorize_at: float | None = None


@transaction.atomic
def create_metric(new: NewMetric, *, actor: Actor) -> Metric:
    """Make the next version of a metric; it needs the payload of its stream.

    Revenue is winsorized at the pooled 99.9 % unless said. Raises InvalidError with every fault.
    """
    require_author(actor, new.owner_team)
    access.require(actor, Permission.READ_PAYLOAD, new.stream)
    if projection(actor, new.stream).fields is not None:
        raise NotPermittedError(
            "Your grant is about some fields of the stream; a metric reads each of them.",
            code="permission_missing",
            permission=Permission.READ_PAYLOAD.value,
            request_at=access.ask_url(new.stream.ref),
            about=new.stream.ref.as_pair(),
        )
    faults = list(_faults(new))
    if faults:
        raise InvalidError("The metric breaks a rule.", errors=faults)
    before = newest_metric(new.key)
    if before is not None:
        require_owner(actor, before)
    cap = new.winsorize_at
    if cap is None and new.type == MetricType.REVENUE:
        cap = REVENUE_CAP
    with only_once("Another version was made at the same moment.", code="version_taken"):
        metric = Metric.objects.create(
            key=new.key,
            version=before.version + 1 if before is not None else 1,
            name=new.name,
            description=new.description,
            owner_team=new.owner_team or (before.owner_team if before is not None else None),
            stream=new.stream,
            type=new.type,
            where=new.where,
            value_path=new.value_path,
            unit=new.unit,
            unit_scale=new.unit_scale,
            better=new.better,
            delay_seconds=new.delay_seconds,
            window_seconds=new.window_seconds,
            winsorize_at=cap,
            created_by=actor.label,
        )
    audit.record(
        actor,
        "metric.created",
        metric.ref,
        summary=f"made version {metric.version} of the metric {metric.key} over {new.stream.name}",
        after={"version": metric.version, "type": metric.type, "stream": new.stream.name},
    )
    return metric


def _faults(new: NewMetric) -> list[FieldError]:
    faults = []
    if not _KEY.fullmatch(new.key):
        faults.append(FieldError("/key", "pattern", "1 to 64 of A-Z a-z 0-9 . _ -"))
    if not 0 < len(new.name) <= 200:
        faults.append(FieldError("/name", "length", "needs 1 to 200 characters"))
    if new.type not in MetricType.values:
        faults.append(FieldError("/type", "unknown", f"one of {', '.join(READABLE_TYPES)}"))
    elif new.type not in READABLE_TYPES:
        faults.append(
            FieldError("/type", "not_read", "this portal does not read metrics of this type yet")
        )
    if new.better not in Better.values:
        faults.append(FieldError("/better", "unknown", "higher or lower"))
    if new.type in VALUED and not new.value_path:
        faults.append(FieldError("/value_path", "required", "which field holds the value"))
    if new.value_path and not _PATH.fullmatch(new.value_path):
        faults.append(FieldError("/value_path", "pattern", "names joined by dots"))
    if not 1 <= new.unit_scale <= 10**9:
        faults.append(FieldError("/unit_scale", "range", "from 1"))
    if new.window_seconds is not None and not 0 < new.window_seconds <= MAX_WINDOW_SECONDS:
        faults.append(FieldError("/window_seconds", "range", "1 second to 90 days"))
    if not 0 <= new.delay_seconds <= MAX_WINDOW_SECONDS:
        faults.append(FieldError("/delay_seconds", "range", "0 seconds to 90 days"))
    if new.winsorize_at is not None and not 0.5 < new.winsorize_at < 1:
        faults.append(FieldError("/winsorize_at", "range", "above 0.5 and below 1"))
    return faults
