"""What experiments keep of somebody goes with an erasure, and the next look counts without them."""

import threading
from typing import Any

import pytest
from django.db import DatabaseError, connection, connections, transaction

from experiments import erasing as stores
from experiments.erasing import RULES, Exposures
from experiments.models import AnalysisSnapshot, Experiment, Exposure
from experiments.services.analysis import read_exposures
from governance import erasing
from tests.experiments.conftest import Lab, make_experiment, make_metric
from tests.support.walking import collected, sought_of, walk

pytestmark = pytest.mark.django_db
ADA = "ada.lovelace@shop.example"
WAYS = pytest.mark.parametrize("in_clear", [True, False], ids=["in clear", "by marks"])


def units() -> set[str]:
    return set(Exposure.objects.values_list("unit", flat=True))


def shown(lab: Lab, *others: str, **fields: Any) -> Experiment:
    experiment = make_experiment(lab, **fields)
    lab.expose_all(experiment, [ADA, *others], lab.at(hours=1))
    assert read_exposures(experiment.pk)
    return experiment


@WAYS
def test_a_unit_that_is_erased_goes_from_all_experiments_and_others_stay(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, *, in_clear: bool
) -> None:
    monkeypatch.setattr(stores, "BATCH", 2)
    shown(lab, "ben", "cy", "dot")
    shown(lab, "ben", key="two_tap")
    swept = walk(Exposures(), sought_of(ADA.upper(), in_clear=in_clear))
    assert (swept.looked_at, swept.erased) == (6, 2)
    assert units() == {"ben", "cy", "dot"}


def test_the_stores_of_experiments_are_walked(lab: Lab) -> None:
    assert {"exposures", "experiments"} <= {store.key for store in erasing.stores()}


def test_a_token_of_the_person_is_a_unit_as_well(lab: Lab) -> None:
    experiment = make_experiment(lab)
    lab.expose_all(experiment, ["tok_0a1b2c", "ben"], lab.at(hours=1))
    read_exposures(experiment.pk)
    walk(Exposures(), sought_of(ADA, "tok_0a1b2c"))
    assert units() == {"ben"}


def test_who_was_first_seen_after_the_erasure_stays(lab: Lab) -> None:
    shown(lab)
    walk(Exposures(), sought_of(ADA, at=lab.at(minutes=59)))
    assert units() == {ADA}
    walk(Exposures(), sought_of(ADA, at=lab.at(hours=1)))
    assert units() == set()


def test_a_variant_that_an_event_made_up_of_a_name_goes_and_no_look_keeps_it(lab: Lab) -> None:
    experiment = make_experiment(lab)
    lab.expose(experiment, "ben", lab.at(hours=1), variant=ADA)
    lab.reach(lab.at(hours=6))
    (snapshot,) = lab.analyse(experiment)
    assert ADA not in str([snapshot.statistics, snapshot.health, snapshot.verdict])
    assert snapshot.health["unknown_variants"] == 1
    walk(Exposures(), sought_of(ADA))
    assert units() == set()


def test_the_person_is_shown_what_they_saw_and_nothing_of_others(lab: Lab) -> None:
    experiment = shown(lab, "ben")
    lab.expose(experiment, "cy", lab.at(hours=1), variant=ADA)
    read_exposures(experiment.pk)
    hers, named = collected(Exposures(), sought_of(ADA))
    assert (hers["about"], hers["experiment"], hers["unit"]) == (True, "one_tap", ADA)
    assert hers["variant"] in {"a", "b"}
    assert (named["about"], named["places"]) == (False, ["/variant"])
    assert "cy" not in str(named)


def test_the_next_look_counts_without_whom_was_erased(lab: Lab) -> None:
    experiment = make_experiment(lab)
    ours = lab.units(experiment, 3)["a"]
    lab.expose_all(experiment, ours, lab.at(hours=1))
    lab.order(ours[0], lab.at(hours=2))
    lab.reach(lab.at(hours=6))
    (before,) = lab.analyse(experiment)
    assert before.statistics["exposures"]["a"]["first"] == 3
    walk(Exposures(), sought_of(ours[0]))
    lab.reach(lab.at(hours=8))
    (after,) = lab.analyse(experiment)
    assert after.statistics["exposures"]["a"]["first"] == 2
    (metric,) = after.statistics["metrics"].values()
    assert (metric["arms"]["a"]["n"], metric["arms"]["a"]["nonzero"]) == (2, 0)


@WAYS
def test_a_rule_or_a_filter_that_names_somebody_keeps_its_shape_and_matches_nobody(
    lab: Lab, *, in_clear: bool
) -> None:
    rule = {"all": [{"attr": "mail", "op": "in", "value": [ADA, "ben"]}]}
    experiment = make_experiment(lab, started=False, targeting=rule)
    metric = make_metric(lab, "hers", where={"buyer": ADA, "paid": True})
    assert collected(RULES, sought_of(ADA, in_clear=in_clear))
    walk(RULES, sought_of(ADA, in_clear=in_clear))
    experiment.refresh_from_db()
    metric.refresh_from_db()
    assert experiment.targeting == {
        "all": [{"attr": "mail", "op": "in", "value": ["erased", "ben"]}]
    }
    assert metric.where == {"buyer": "erased", "paid": True}


def test_an_old_look_loses_a_made_up_variant_and_only_an_erasure_may_do_that(lab: Lab) -> None:
    experiment = shown(lab)
    lab.reach(lab.at(hours=6))
    (look,) = lab.analyse(experiment)
    old = AnalysisSnapshot.objects.get(pk=look.pk)
    old.pk, old.number = None, old.number + 1
    old.statistics = {**old.statistics, "exposures": {ADA: {"first": 1}, "a": {"first": 2}}}
    old.save(force_insert=True)
    walk(RULES, sought_of(ADA))
    old.refresh_from_db()
    assert old.statistics["exposures"] == {"a": {"first": 2}}
    every: list[dict[str, Any]] = [{"statistics": {}}, {"watermark": lab.now}]
    for changes in every:
        with pytest.raises(DatabaseError, match="immutable"), transaction.atomic():
            AnalysisSnapshot.objects.filter(pk=old.pk).update(**changes)
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('portal.erases', 'yes', true)")
    with pytest.raises(DatabaseError, match="immutable"), transaction.atomic():
        AnalysisSnapshot.objects.filter(pk=old.pk).update(watermark=lab.now)


@pytest.mark.django_db(transaction=True)
def test_a_step_waits_while_an_experiment_is_being_read(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A merge that began before the log was erased has all of it still in view."""
    monkeypatch.setattr(stores, "_PAUSE_SECONDS", 0)
    experiment = shown(lab)
    held, done = threading.Event(), threading.Event()

    def read() -> None:
        with transaction.atomic():
            Experiment.objects.select_for_update().get(pk=experiment.pk)
            held.set()
            assert done.wait(20)
        connections.close_all()

    reader = threading.Thread(target=read)
    reader.start()
    assert held.wait(20)
    try:
        with transaction.atomic():
            swept = Exposures().erase(sought_of(ADA), {})
        assert swept.cursor is not None
        assert (swept.erased, units()) == (0, {ADA})
    finally:
        done.set()
        reader.join()
    with transaction.atomic():
        assert Exposures().erase(sought_of(ADA), swept.cursor).erased == 1
    assert units() == set()
