"""A laboratory: two streams, an experiment over them, and events put straight into the log.

Events carry positions far below any running transaction, so that a test reads what it wrote
without committing; times are relative to `now`, which stands still.
"""

import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection

from catalog.models import Stream
from experiments.assignment import assign_variant
from experiments.models import AnalysisSnapshot, Experiment, Metric
from experiments.selectors.experiments import assignable
from experiments.services.analysis import analyse
from experiments.services.experiments import (
    NewExperiment,
    NewMeasure,
    NewVariant,
    create_experiment,
    start_experiment,
)
from experiments.services.metrics import NewMetric, create_metric
from experiments.types import Role
from governance.models import Team
from ingest.log import partitions
from portal.kernel import clock
from portal.kernel.actor import SYSTEM
from tests.support.factories import make_stream

_INSERT = """
INSERT INTO ingest_event (stream_id, track, occurred_at, event_id, received_at, producer_id,
    subject, source, attributes, data, content_hash, marks, tx, seq)
VALUES (%s, 1, %s, %s, %s, 1, %s, %s, '{}', %s, '', 0, '7', %s)
"""


@dataclass
class Lab:
    """`start` is a midnight ten days ago; every event of a test lies between it and `now`."""

    exposed: Stream
    orders: Stream
    now: datetime
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    @property
    def start(self) -> datetime:
        midnight = self.now.replace(hour=0, minute=0, second=0, microsecond=0)
        return midnight - timedelta(days=10)

    def at(self, **after: float) -> datetime:
        return self.start + timedelta(**after)

    def event(
        self,
        stream: Stream,
        unit: str | None,
        at: datetime,
        data: Mapping[str, Any] | None = None,
        *,
        received_at: datetime | None = None,
        source: str = "/web",
    ) -> None:
        number = next(self.numbers)
        with connection.cursor() as cursor:
            cursor.execute(
                _INSERT,
                [stream.pk, at, f"e{number}", received_at or at, unit, source,
                 json.dumps(dict(data or {})), number],
            )  # fmt: skip

    def expose(
        self,
        experiment: Experiment,
        unit: str,
        at: datetime,
        variant: str | None = None,
        **data: Any,
    ) -> str:
        """An exposure, in the assigned variant unless another is said."""
        shown = variant or assign_variant(experiment=assignable(experiment), unit=unit)["variant"]
        assert shown is not None
        self.event(self.exposed, unit, at, {"experiment": experiment.key, "variant": shown, **data})
        return shown

    def order(self, unit: str, at: datetime, **data: Any) -> None:
        self.event(self.orders, unit, at, data)

    def units(self, experiment: Experiment, count: int) -> dict[str, list[str]]:
        """Units by the variant that assignment gives them, `count` in each."""
        plan = assignable(experiment)
        found: dict[str, list[str]] = {row["key"]: [] for row in plan["variants"]}
        for number in itertools.count():
            if all(len(units) == count for units in found.values()):
                return found
            unit = f"user-{number}"
            shown = assign_variant(experiment=plan, unit=unit)["variant"]
            if shown is not None and len(found[shown]) < count:
                found[shown].append(unit)
        raise AssertionError

    def expose_all(self, experiment: Experiment, units: Iterable[str], at: datetime) -> None:
        for unit in units:
            self.expose(experiment, unit, at)

    def reach(self, moment: datetime, *streams: Stream) -> None:
        """Let the watermark be at a moment, by one more event of no unit in each stream."""
        for stream in streams or (self.exposed, self.orders):
            self.event(
                stream, None, moment + timedelta(minutes=5), {"experiment": ""},
                received_at=self.now,
            )  # fmt: skip

    def analyse(self, experiment: Experiment) -> list[AnalysisSnapshot]:
        return analyse(experiment.pk, now=self.now)


@pytest.fixture
def lab(db: None) -> Lab:
    connection.ensure_connection()
    raw = connection.connection
    assert isinstance(raw, psycopg.Connection)
    partitions.make_window(raw)
    return Lab(
        exposed=make_stream("growth.experiment_exposed"),
        orders=make_stream("checkout.order_placed"),
        now=clock.now().astimezone(UTC).replace(hour=12, minute=0, second=0, microsecond=0),
    )


def make_metric(lab: Lab, key: str = "conversion", **fields: Any) -> Metric:
    values: dict[str, Any] = {"name": key.capitalize(), "type": "proportion"} | fields
    return create_metric(NewMetric(key=key, stream=lab.orders, **values), actor=SYSTEM)


def make_experiment(
    lab: Lab,
    *measures: NewMeasure,
    key: str = "one_tap",
    weights: Mapping[str, int] | None = None,
    started: bool = True,
    team: Team | None = None,
    **fields: Any,
) -> Experiment:
    experiment = create_experiment(
        NewExperiment(
            key=key,
            title="One-tap checkout",
            exposure_stream=lab.exposed,
            owner_team=team,
            variants=[
                NewVariant(key=name, weight_bps=weight, name=name.upper())
                for name, weight in (weights or {"a": 5000, "b": 5000}).items()
            ],
            measures=list(measures) or [NewMeasure(make_metric(lab), Role.PRIMARY)],
            **{"planned_units": 2000} | fields,
        ),
        actor=SYSTEM,
    )
    return start_experiment(experiment, actor=SYSTEM, at=lab.start) if started else experiment
