"""An experiment counts nothing that has lived its time, whether or not it was swept already."""

from datetime import timedelta

import pytest

from catalog.models import SchemaVersion, Stream
from experiments.models import AnalysisSnapshot
from experiments.services.experiments import NewMeasure
from experiments.types import Role
from tests.experiments.conftest import Lab, make_experiment, make_metric

pytestmark = pytest.mark.django_db


def arms_of(snapshot: AnalysisSnapshot) -> dict[str, float]:
    (found,) = snapshot.statistics["metrics"].values()
    return {key: arm["total"] for key, arm in found["arms"].items()}


def test_events_and_values_beyond_their_life_are_not_summed(lab: Lab) -> None:
    metric = make_metric(lab, "revenue", type="mean", value_path="paid")
    experiment = make_experiment(lab, NewMeasure(metric, Role.PRIMARY))
    ours = lab.units(experiment, 3)["a"]
    for unit in ours:
        lab.expose(experiment, unit, lab.at(days=1))
    for unit, day in zip(ours, (2, 5, 9), strict=True):
        lab.order(unit, lab.at(days=day), paid=10**day)
    lab.reach(lab.now - timedelta(hours=1))
    Stream.objects.filter(pk=lab.orders.pk).update(retention_days=7)
    SchemaVersion.objects.create(
        stream=lab.orders, version=2, document={"properties": {"paid": {"x-retention": 3}}},
        document_sha256=b"2" * 32, state="active",
    )  # fmt: skip
    # Ten days on, of three orders one is expired, and of the second the amount.
    (snapshot, *_) = reversed(lab.analyse(experiment))
    assert arms_of(snapshot)["a"] == 10**9
    (found,) = snapshot.statistics["metrics"].values()
    assert (found["arms"]["a"]["hits"], found["arms"]["a"]["misses"]) == (2, 1)
