from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.assignment import assign_variant, bucket

SPLIT: dict[str, Any] = {
    "salt": "checkout-cta",
    "allocation_bps": 10_000,
    "variants": [{"key": "a", "weight_bps": 5000}, {"key": "b", "weight_bps": 5000}],
}


def with_(**changes: Any) -> dict[str, Any]:
    return {**SPLIT, **changes}


def test_the_first_buckets_of_the_specification_come_out() -> None:
    found = [
        bucket(purpose="variant", salt="exp-a", unit=f"user-{n}", buckets=10_000)["bucket"]
        for n in range(5)
    ]
    assert found == [8424, 5410, 2011, 4860, 8246]


@pytest.mark.parametrize(
    ("unit", "reason"),
    [
        (None, "unit_missing"),
        ("", "unit_missing"),
        (True, "unit_missing"),
        (1.5, "unit_missing"),
        ({}, "unit_missing"),
        (7, "split"),
        (" 7", "split"),
    ],
)
def test_only_texts_and_whole_numbers_are_units(unit: object, reason: str) -> None:
    assert assign_variant(experiment=SPLIT, unit=unit)["reason"] == reason


def test_a_number_is_the_same_unit_as_its_decimal_text() -> None:
    assert assign_variant(experiment=SPLIT, unit=42) == assign_variant(experiment=SPLIT, unit="42")


def test_each_step_ends_the_evaluation_in_the_declared_order() -> None:
    everything = with_(
        status="stopped",
        holdout={"salt": "h", "bps": 10_000},
        targeting={"attr": "vip", "op": "eq", "value": True},
        layer={"salt": "L", "ranges": []},
        allocation_bps=0,
    )
    order = []
    opened: dict[str, Any] = dict(everything)
    for member, value, sticky, override in [
        ("status", "running", None, None),
        ("status", "running", None, "b"),
        ("holdout", None, "b", None),
        ("holdout", None, None, None),
        ("targeting", None, None, None),
        ("layer", None, None, None),
        ("allocation_bps", 10_000, None, None),
    ]:
        order.append(assign_variant(experiment=opened, unit="u")["reason"])
        opened[member] = value
        if sticky or override:
            found = assign_variant(
                experiment=opened,
                unit="u",
                sticky=sticky,
                override=override,
            )
            order.append(found["reason"])
    order.append(assign_variant(experiment=opened, unit="u")["reason"])
    assert order == [
        "not_running", "holdout", "override", "holdout", "sticky", "targeting", "targeting",
        "layer", "allocation", "split",
    ]  # fmt: skip


@given(st.text(min_size=1, alphabet=st.characters(exclude_categories=["Cs"])))
def test_raising_the_allocation_never_moves_a_unit_to_another_arm(unit: str) -> None:
    seen = {
        assign_variant(experiment=with_(allocation_bps=share), unit=unit)["variant"]
        for share in range(0, 10_001, 500)
    }
    assert len(seen - {None}) == 1


def test_shares_follow_the_weights() -> None:
    skewed = with_(variants=[{"key": "a", "weight_bps": 1000}, {"key": "b", "weight_bps": 9000}])
    units = 20_000
    hits = sum(
        assign_variant(experiment=skewed, unit=f"user-{n}")["variant"] == "a" for n in range(units)
    )
    assert abs(hits / units - 0.1) < 0.008
