"""The shop's running experiment: one-tap checkout against the usual one."""

from datetime import datetime
from typing import Final

from catalog.models import Stream
from experiments.models import Experiment, Metric
from experiments.services.experiments import (
    NewExperiment,
    NewMeasure,
    NewVariant,
    create_experiment,
    start_experiment,
)
from experiments.services.metrics import NewMetric, create_metric
from experiments.types import MetricType, Role
from governance.models import Team
from portal.demo.traffic import EXPERIMENT
from portal.kernel import clock
from portal.kernel.actor import SYSTEM

KEY: Final = "one_tap_checkout"


def build_experiment(begun: datetime) -> Experiment:
    """Make the metrics and the experiment and start it in the past; again changes nothing."""
    found = Experiment.objects.filter(key=KEY).first()
    if found is not None:
        return found
    team = Team.objects.get(slug="checkout")
    orders = Stream.objects.get(name="checkout.order_placed")
    failures = Stream.objects.get(name="payments.payment_failed")
    with clock.at(begun):
        experiment = create_experiment(
            NewExperiment(
                key=KEY,
                title="One-tap checkout",
                hypothesis="A customer who can pay with one tap orders more often.",
                exposure_stream=Stream.objects.get(name="experiments.exposure_recorded"),
                owner_team=team,
                variants=[
                    NewVariant("control", 5_000, name="Usual checkout", is_control=True),
                    NewVariant("one_tap", 5_000, name="One tap"),
                ],
                measures=[
                    NewMeasure(_metric("order_conversion", "Orders within a week", orders, team)),
                    NewMeasure(
                        _metric(
                            "revenue_per_customer",
                            "Revenue per customer",
                            orders,
                            team,
                            type=MetricType.REVENUE,
                            value_path="total_minor",
                            unit="EUR",
                            unit_scale=100,
                        ),
                        role=Role.SECONDARY,
                    ),
                    NewMeasure(
                        _metric(
                            "payment_failures",
                            "Customers with a failed payment",
                            failures,
                            team,
                            better="lower",
                        ),
                        role=Role.GUARDRAIL,
                        margin=0.2,
                        critical=True,
                    ),
                ],
                planned_units=10_000,
                planned_days=14,
                salt=str(EXPERIMENT["salt"]),
            ),
            actor=SYSTEM,
        )
        return start_experiment(experiment, actor=SYSTEM, at=begun)


def _metric(
    key: str,
    name: str,
    stream: Stream,
    team: Team,
    *,
    type: str = MetricType.PROPORTION,  # noqa: A002  # the metric's own word
    value_path: str = "",
    unit: str = "",
    unit_scale: int = 1,
    better: str = "higher",
) -> Metric:
    return create_metric(
        NewMetric(
            key=key,
            name=name,
            stream=stream,
            type=type,
            owner_team=team,
            value_path=value_path,
            unit=unit,
            unit_scale=unit_scale,
            better=better,
            window_seconds=7 * 86_400,
        ),
        actor=SYSTEM,
    )
