from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, transaction

from experiments.models import AnalysisSnapshot, Experiment, Exposure
from experiments.services.analysis import read_exposures
from experiments.services.experiments import NewMeasure
from experiments.types import Role
from tests.experiments.conftest import Lab, make_experiment, make_metric

pytestmark = pytest.mark.django_db


def convert(lab: Lab, units: list[str], share: float, **data: Any) -> None:
    for unit in units[: round(len(units) * share)]:
        lab.order(unit, lab.at(days=1, hours=2), **data)


def line(snapshot: AnalysisSnapshot, metric: str = "conversion") -> dict[str, Any]:
    found: dict[str, Any] = next(r for r in snapshot.results if r["metric"] == metric)
    return found


def test_first_exposures_give_arm_and_anchor_and_crossing_units_are_told_apart(lab: Lab) -> None:
    experiment = make_experiment(lab)
    ours, theirs = (lab.units(experiment, 3)[key] for key in ("a", "b"))
    lab.expose(experiment, ours[0], lab.at(hours=5))
    lab.expose(experiment, ours[0], lab.at(hours=3))
    lab.expose(experiment, ours[1], lab.at(hours=3))
    lab.expose(experiment, ours[1], lab.at(hours=4), variant="b")
    lab.expose(experiment, theirs[0], lab.at(hours=4))
    lab.expose(experiment, theirs[1], lab.at(hours=4), override=True)
    lab.expose(experiment, theirs[2], lab.at(hours=4), variant="a")
    lab.expose(experiment, "early", lab.start - timedelta(hours=1), variant="a")
    lab.event(lab.exposed, "other", lab.at(hours=1), {"experiment": "else", "variant": "a"})
    assert read_exposures(experiment.pk)
    rows = {row.unit: row for row in Exposure.objects.all()}
    assert set(rows) == {ours[0], ours[1], theirs[0], theirs[2]}
    assert (rows[ours[0]].first_at, rows[ours[0]].times) == (lab.at(hours=3), 2)
    assert rows[ours[0]].crossed_at is None
    assert (rows[ours[1]].variant, rows[ours[1]].crossed_at) == ("a", lab.at(hours=4))
    assert {unit for unit, row in rows.items() if row.mismatch} == {theirs[2]}


@pytest.mark.parametrize("batch", [1, 2, 3, 100])
def test_the_rows_do_not_depend_on_how_the_events_were_batched(lab: Lab, batch: int) -> None:
    experiment = make_experiment(lab)
    (unit,) = lab.units(experiment, 1)["b"]
    for hours, variant in [(9, "b"), (7, "a"), (5, "b"), (6, "a"), (8, "b")]:
        lab.expose(experiment, unit, lab.at(hours=hours), variant=variant)
    assert read_exposures(experiment.pk, batch=batch)
    row = Exposure.objects.get()
    assert (row.variant, row.first_at, row.crossed_at, row.times, row.mismatch) == (
        "b",
        lab.at(hours=5),
        lab.at(hours=6),
        5,
        False,
    )


def test_reading_twice_counts_nothing_twice(lab: Lab) -> None:
    experiment = make_experiment(lab)
    lab.expose_all(experiment, [f"u{n}" for n in range(20)], lab.at(hours=1))
    read_exposures(experiment.pk)
    read_exposures(experiment.pk)
    assert Exposure.objects.count() == 20
    assert set(Exposure.objects.values_list("times", flat=True)) == {1}


def test_nothing_is_looked_at_beyond_the_watermark(lab: Lab) -> None:
    experiment = make_experiment(lab)
    lab.expose(experiment, "u1", lab.at(hours=1))
    lab.expose(experiment, "u2", lab.at(hours=7))
    lab.reach(lab.at(hours=6), lab.orders)
    lab.reach(lab.at(hours=9), lab.exposed)
    (snapshot,) = lab.analyse(experiment)
    assert snapshot.watermark == lab.at(hours=6)
    assert snapshot.health["units"] == 1
    assert set(snapshot.inputs["streams"]) == {lab.exposed.name, lab.orders.name}


def test_a_winner_shows_with_its_interval_and_too_early_says_what_is_missing(lab: Lab) -> None:
    experiment = make_experiment(lab, policy={"min_units": 300, "min_days": 3})
    units = lab.units(experiment, 400)
    for arm in units.values():
        lab.expose_all(experiment, arm, lab.at(days=1, hours=1))
    convert(lab, units["a"], 0.10)
    convert(lab, units["b"], 0.30)
    lab.reach(lab.at(days=1, hours=12))
    (first, early) = lab.analyse(experiment)
    assert first.is_daily
    assert first.verdict["state"] == "no_exposure"
    row = line(early)["comparisons"][0]
    assert (row["n"], row["estimate"]) == (400, 0.3)
    assert row["reading"] == "better"
    assert row["lift"]["lower"] > 0
    assert row["difference"]["lower"] < 0.2 < row["difference"]["upper"]
    assert early.verdict["action"] == "continue"
    assert early.verdict["reasons"] == ["min_days"]
    assert early.verdict["say"] == "B is ahead. Too early to decide."
    lab.reach(lab.at(days=3, hours=1))
    *_, late = lab.analyse(experiment)
    assert late.verdict["action"] == "request_approval"
    assert late.verdict["say"] == "B wins and harms nothing we guard."


def test_the_same_data_give_no_second_snapshot_and_new_ones_do(lab: Lab) -> None:
    experiment = make_experiment(lab)
    lab.expose(experiment, "u1", lab.at(hours=1))
    lab.reach(lab.at(hours=2))
    assert len(lab.analyse(experiment)) == 1
    lab.reach(lab.at(hours=3))
    assert lab.analyse(experiment) == []
    lab.expose(experiment, "u2", lab.at(hours=3, minutes=1))
    lab.reach(lab.at(hours=4))
    assert [snapshot.number for snapshot in lab.analyse(experiment)] == [2]


def test_every_day_gets_its_look_and_none_twice(lab: Lab) -> None:
    experiment = make_experiment(lab)
    for day in range(4):
        lab.expose(experiment, f"u{day}", lab.at(days=day, hours=1))
    lab.reach(lab.at(days=3, hours=12))
    taken = lab.analyse(experiment)
    assert [(s.is_daily, s.watermark) for s in taken] == [
        (True, lab.at(days=1)),
        (True, lab.at(days=2)),
        (True, lab.at(days=3)),
        (False, lab.at(days=3, hours=12)),
    ]
    assert [s.health["units"] for s in taken] == [1, 2, 3, 4]
    assert lab.analyse(experiment) == []


def test_an_uneven_split_freezes_the_reading(lab: Lab) -> None:
    experiment = make_experiment(lab, policy={"min_units": 10, "min_days": 0})
    units = lab.units(experiment, 400)
    lab.expose_all(experiment, units["a"], lab.at(hours=1))
    lab.expose_all(experiment, units["b"][:250], lab.at(hours=1))
    convert(lab, units["b"], 0.9)
    lab.reach(lab.at(hours=12))
    (snapshot,) = lab.analyse(experiment)
    assert snapshot.health["srm"]["status"] == "alarm"
    row = line(snapshot)["comparisons"][0]
    assert (row["reading"], row["difference"], row["p_decision"]) == ("frozen", None, None)
    assert snapshot.verdict["state"] == "uneven"
    assert (snapshot.verdict["action"], snapshot.verdict["reasons"]) == ("hold", ["srm"])
    assert snapshot.verdict["because"].startswith("B has 250 units where 325 are expected")


def test_the_split_is_tested_daily_and_after_the_units_doubled_only(lab: Lab) -> None:
    experiment = make_experiment(lab)
    units = lab.units(experiment, 300)
    for arm in units.values():
        lab.expose_all(experiment, arm[:100], lab.at(hours=1))
    lab.reach(lab.at(hours=2))
    (first,) = lab.analyse(experiment)
    lab.expose_all(experiment, units["a"][100:150], lab.at(hours=3))
    lab.reach(lab.at(hours=4))
    (second,) = lab.analyse(experiment)
    assert second.health["srm"] == first.health["srm"]
    lab.expose_all(experiment, units["a"][150:300], lab.at(hours=5))
    lab.reach(lab.at(hours=6))
    (third,) = lab.analyse(experiment)
    assert third.health["srm"]["status"] == "alarm"


def test_a_metric_with_a_window_counts_mature_units_and_events_inside_it(lab: Lab) -> None:
    metric = make_metric(lab, window_seconds=86_400, delay_seconds=3600)
    experiment = make_experiment(lab, NewMeasure(metric))
    for unit, hours in [("before", -1), ("inside", 2), ("edge", 25), ("last", 24.99)]:
        lab.expose(experiment, unit, lab.at(hours=1), variant="a")
        lab.order(unit, lab.at(hours=1 + hours))
    lab.expose(experiment, "young", lab.at(hours=30), variant="a")
    lab.order("young", lab.at(hours=32))
    lab.reach(lab.at(hours=48))
    *_, snapshot = lab.analyse(experiment)
    sums = snapshot.statistics["metrics"]["conversion@1"]["arms"]["a"]
    assert (sums["n"], sums["total"]) == (4, 2)


def test_sums_and_counts_take_filtered_values_and_count_those_that_are_missing(lab: Lab) -> None:
    revenue = make_metric(
        lab,
        "revenue",
        type="revenue",
        value_path="cart.total",
        where={"currency": "EUR"},
        winsorize_at=0.75,
    )
    orders = make_metric(lab, "orders", type="count")
    experiment = make_experiment(lab, NewMeasure(revenue), NewMeasure(orders, Role.SECONDARY))
    for unit in ("u1", "u2", "u3", "u4", "u5"):
        lab.expose(experiment, unit, lab.at(hours=1), variant="a")
    for unit, total, currency in [
        ("u1", 10, "EUR"), ("u1", 5.5, "EUR"), ("u2", 100, "EUR"), ("u3", 7, "SEK"),
        ("u3", None, "EUR"), ("u3", "12", "EUR"), ("u4", 1, "EUR"),
    ]:  # fmt: skip
        lab.order(unit, lab.at(hours=2), cart={"total": total}, currency=currency)
    lab.reach(lab.at(hours=4))
    (snapshot,) = lab.analyse(experiment)
    money = snapshot.statistics["metrics"]["revenue@1"]
    # 0, 0, 1, 15.5, 100: the 75 % quantile is 15.5, so one unit is capped.
    assert money["cap"] == 15.5
    assert money["arms"]["a"]["raw_total"] == 116.5
    assert money["arms"]["a"]["total"] == 32
    assert (money["arms"]["a"]["capped"], money["arms"]["a"]["misses"]) == (1, 2)
    assert line(snapshot, "revenue")["null_share"] == pytest.approx(2 / 6)
    counts = snapshot.statistics["metrics"]["orders@1"]["arms"]["a"]
    assert (counts["total"], counts["squares"], counts["nonzero"]) == (7, 4 + 1 + 9 + 1, 4)


def test_a_units_own_past_takes_noise_out(lab: Lab) -> None:
    revenue = make_metric(lab, "revenue", type="mean", value_path="total")
    experiment = make_experiment(lab, NewMeasure(revenue))
    lab.order("long ago", lab.start - timedelta(days=15), total=1)
    units = lab.units(experiment, 200)
    for shift, arm in enumerate(units.values()):
        for number, unit in enumerate(arm):
            usual = number % 10
            lab.order(unit, lab.start - timedelta(days=2), total=usual)
            lab.expose(experiment, unit, lab.at(hours=1))
            lab.order(unit, lab.at(hours=2), total=usual + shift + (number % 7) / 7)
    lab.reach(lab.at(hours=4))
    (snapshot,) = lab.analyse(experiment)
    row = line(snapshot, "revenue")["comparisons"][0]
    assert row["cuped"]["theta"] == pytest.approx(1.0, abs=0.05)
    assert row["cuped"]["variance_reduction"] > 0.95
    assert row["difference"]["estimate"] == pytest.approx(1.0, abs=0.01)
    assert row["reading"] == "better"


def test_a_guardrail_that_breaks_asks_for_a_rollback(lab: Lab) -> None:
    guard = make_metric(lab, "refunds", where={"refund": True}, better="lower")
    experiment = make_experiment(
        lab,
        NewMeasure(make_metric(lab)),
        NewMeasure(guard, Role.GUARDRAIL, margin=0.1, critical=True),
    )
    units = lab.units(experiment, 300)
    for key, arm in units.items():
        lab.expose_all(experiment, arm, lab.at(hours=1))
        for unit in arm[: 30 if key == "a" else 150]:
            lab.order(unit, lab.at(hours=2), refund=True)
    lab.reach(lab.at(hours=4))
    (snapshot,) = lab.analyse(experiment)
    row = line(snapshot, "refunds")["comparisons"][0]
    assert row["reading"] == "breached"
    assert snapshot.verdict["action"] == "rollback"
    assert snapshot.verdict["say"] == "B makes refunds worse."


def test_the_final_look_is_taken_once_and_is_the_last(lab: Lab) -> None:
    experiment = make_experiment(lab, planned_days=2)
    lab.expose(experiment, "u1", lab.at(hours=1))
    lab.reach(lab.at(days=5))
    taken = lab.analyse(experiment)
    assert [(s.final_look, s.watermark) for s in taken] == [
        (False, lab.at(days=1)),
        (True, lab.at(days=2)),
    ]
    lab.expose(experiment, "u2", lab.at(days=5, hours=1))
    lab.reach(lab.at(days=6))
    assert lab.analyse(experiment) == []


def test_a_snapshot_can_not_be_changed(lab: Lab) -> None:
    experiment = make_experiment(lab)
    lab.reach(lab.at(hours=2))
    (snapshot,) = lab.analyse(experiment)
    snapshot.number = 9
    with pytest.raises(DatabaseError, match="immutable"), transaction.atomic():
        snapshot.save()


def test_a_stopped_experiment_is_left_alone(lab: Lab) -> None:
    experiment = make_experiment(lab)
    Experiment.objects.filter(pk=experiment.pk).update(state="stopped_inconclusive")
    lab.expose(experiment, "u1", lab.at(hours=1))
    lab.reach(lab.at(hours=2))
    assert lab.analyse(experiment) == []
    assert not Exposure.objects.exists()
