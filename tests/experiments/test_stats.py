"""Properties of the statistics that no single number shows."""

import math
from itertools import pairwise
from statistics import fmean, variance
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from experiments.stats.arms import Arm, Moments, arm_mean, arm_proportion, arm_ratio, merge_moments
from experiments.stats.bayes import bayes_beta_binomial, bayes_normal
from experiments.stats.comparison import lift_interval, paired_shadow, welch
from experiments.stats.cuped import cuped
from experiments.stats.families import adjust
from experiments.stats.guardrails import guardrail
from experiments.stats.planning import duration, mde, power, sample_size
from experiments.stats.quantiles import quantile_arm
from experiments.stats.sample_ratio import srm
from experiments.stats.sequential import (
    always_valid_p,
    critical_two_sided,
    decision,
    sequential,
)

NUMBERS = st.floats(-1e6, 1e6)
LISTS = st.lists(NUMBERS, max_size=30)


def arm(n: int, estimate: float | None, v: float | None) -> Arm:
    return {"n": n, "estimate": estimate, "variance_of_estimate": v}


ARMS = st.builds(arm, st.integers(2, 10**6), st.floats(0.001, 100), st.floats(1e-9, 10))


def moments(values: list[float]) -> Moments:
    if not values:
        return {"n": 0, "mean": 0.0, "m2": 0.0}
    mean = fmean(values)
    return {"n": len(values), "mean": mean, "m2": math.fsum((v - mean) ** 2 for v in values)}


@given(st.lists(LISTS, max_size=5))
def test_merged_moments_equal_those_of_the_whole(parts: list[list[float]]) -> None:
    values = [value for part in parts for value in part]
    merged = merge_moments(parts=[moments(part) for part in parts])
    assert merged["n"] == len(values)
    if not values:
        assert merged["mean"] is None
        return
    assert merged["mean"] == pytest.approx(fmean(values), rel=1e-9, abs=1e-6)
    if len(values) < 2:
        assert merged["variance"] is None
    else:
        assert merged["variance"] == pytest.approx(variance(values), rel=1e-6, abs=1e-3)


def test_no_units_give_nulls_and_one_unit_no_variance() -> None:
    assert arm_mean(n=0, sum=0, sum_squares=0)["estimate"] is None
    assert arm_proportion(n=0, successes=0)["estimate"] is None
    assert arm_mean(n=1, sum=3, sum_squares=9) == {
        "n": 1, "estimate": 3.0, "variance": None, "variance_of_estimate": None,
    }  # fmt: skip
    assert arm_ratio(numerator=[1, 2], denominator=[0, 0])["estimate"] is None


def test_a_ratio_with_equal_denominators_is_a_mean() -> None:
    values = [1.0, 4.0, 2.0, 8.0]
    ratio = arm_ratio(numerator=values, denominator=[1.0] * 4)
    mean = arm_mean(n=4, sum=sum(values), sum_squares=sum(v * v for v in values))
    assert ratio["estimate"] == mean["estimate"]
    assert ratio["variance_of_estimate"] == pytest.approx(mean["variance_of_estimate"])


@given(ARMS, ARMS)
def test_fiellers_interval_holds_zero_exactly_when_the_test_does_not_reject(
    control: Arm, treatment: Arm
) -> None:
    test = welch(control=control, treatment=treatment)
    assert test["dof"] is not None
    assert test["upper"] is not None
    assert test["diff"] is not None
    assert test["se"] is not None
    critical = (test["upper"] - test["diff"]) / test["se"]
    z = abs(test["diff"]) / test["se"]
    assume(abs(z - critical) > 1e-6 * critical)
    lift = lift_interval(control=control, treatment=treatment, critical=critical)
    assume(lift["status"] == "ok")
    assert lift["lower"] is not None
    assert lift["upper"] is not None
    slack = 1e-9 * max(1.0, abs(lift["upper"]))
    if z < critical:
        assert lift["lower"] <= slack
        assert lift["upper"] >= -slack
    else:
        assert lift["lower"] > -slack or lift["upper"] < slack


@given(ARMS, ARMS, st.floats(100, 1e7))
def test_the_always_valid_p_agrees_with_its_interval(
    control: Arm, treatment: Arm, tune_n: float
) -> None:
    found = sequential(control=control, treatment=treatment, alpha=0.05, tune_n=tune_n)
    assert found["lower"] is not None
    assert found["upper"] is not None
    assert found["p"] is not None
    assume(abs(found["p"] - 0.05) > 1e-9)
    assert (found["p"] < 0.05) is not (found["lower"] <= 0 <= found["upper"])


def test_the_sequence_is_tightest_near_its_tuning_size() -> None:
    criticals = {
        n: critical_two_sided(alpha=0.05, n=n, tune_n=10_000) for n in (100, 10_000, 1_000_000)
    }
    assert min(criticals, key=lambda n: criticals[n]) == 10_000


def test_the_p_value_of_an_enormous_effect_does_not_overflow() -> None:
    assert always_valid_p(z=1e6, alpha=0.01, n=1000, tune_n=1000) == 0.0
    assert always_valid_p(z=0, alpha=0.01, n=1000, tune_n=1000) == 1.0


def test_the_hybrid_errs_less_than_alpha_under_daily_looks() -> None:
    """§14.1: 28 daily looks at a difference that is not there; accepted are 2.5 to 5.5 %."""
    rng = np.random.default_rng(20_261_124)
    runs, looks, a_day = 2000, 28, 500
    control = rng.normal(10, 1 / math.sqrt(a_day), (runs, looks)).cumsum(1) / np.arange(1, 29)
    treatment = rng.normal(10, 1 / math.sqrt(a_day), (runs, looks)).cumsum(1) / np.arange(1, 29)
    wrong = peeking = 0
    for left, right in zip(control, treatment, strict=True):
        found = found_plain = False
        for look in range(1, looks + 1):
            n = a_day * look
            z = (right[look - 1] - left[look - 1]) / math.sqrt(2 / n)
            found_plain = found_plain or abs(z) > 1.96
            p = always_valid_p(z=z, alpha=0.01, n=2 * n, tune_n=a_day * looks)
            found = found or p <= 0.01 or (look == looks and math.erfc(abs(z) / 2**0.5) <= 0.04)
        wrong += found
        peeking += found_plain
    assert 0.025 <= wrong / runs <= 0.055
    assert 0.23 <= peeking / runs <= 0.31


@pytest.mark.parametrize(
    ("control", "treatment", "status"),
    [
        (arm(1, 1.0, None), arm(10, 1.0, 0.1), "too_few_units"),
        (arm(10, 1.0, None), arm(10, 1.0, 0.1), "not_estimable"),
        (arm(10, 1.0, 0.0), arm(10, 2.0, 0.0), "zero_variance"),
    ],
)
def test_what_cannot_be_compared_says_why_and_carries_no_numbers(
    control: Arm, treatment: Arm, status: str
) -> None:
    results: list[Any] = [
        welch(control=control, treatment=treatment),
        lift_interval(control=control, treatment=treatment, critical=2),
        sequential(control=control, treatment=treatment, alpha=0.05, tune_n=100),
        decision(control=control, treatment=treatment, alpha=0.05, planned_n=100, final_look=True),
        bayes_normal(control=control, treatment=treatment),
    ]
    for result in results:
        assert result["status"] == status
        numbers = [value for key, value in result.items() if key not in {"status", "significant"}]
        assert set(numbers) == {None}


def test_a_control_of_zero_has_no_lift() -> None:
    control, treatment = arm(10, 0.0, 0.1), arm(10, 1.0, 0.1)
    assert lift_interval(control=control, treatment=treatment, critical=2)["status"] == (
        "control_zero"
    )
    flat = bayes_normal(control=control, treatment=treatment, prior_sd=None, scale="absolute")
    assert flat["posterior_mean"] == 1.0


@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=8))
def test_adjusted_p_values_are_never_smaller_and_keep_their_order(p: list[float | None]) -> None:
    known = [value for value in p if value is not None]
    methods: tuple[Literal["holm", "bh", "bonferroni"], ...] = ("holm", "bh", "bonferroni")
    for method in methods:
        adjusted = adjust(p=p, method=method)["adjusted"]
        assert [value is None for value in adjusted] == [value is None for value in p]
        pairs = sorted(
            (a, b) for a, b in zip(p, adjusted, strict=True) if a is not None and b is not None
        )
        assert len(pairs) == len(known)
        assert all(a <= b + 1e-12 <= 1 + 1e-12 for a, b in pairs)
        assert all(left[1] <= right[1] for left, right in pairwise(pairs))


def test_cuped_removes_the_squared_correlation_and_an_idle_covariate_changes_nothing() -> None:
    rng = np.random.default_rng(7)
    x = rng.normal(size=4000)
    y = 0.7 * x + math.sqrt(1 - 0.49) * rng.normal(size=4000)
    found = cuped(
        control_y=list(y[:2000]),
        control_x=list(x[:2000]),
        treatment_y=list(y[2000:]),
        treatment_x=list(x[2000:]),
    )
    assert found["variance_reduction"] == pytest.approx(0.49, abs=0.03)
    idle = cuped(
        control_y=[1, 2, 3], control_x=[5, 5, 5], treatment_y=[2, 3, 4], treatment_x=[5, 5, 5]
    )
    assert (idle["theta"], idle["diff"]) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("treatment", "state"),
    [
        (arm(100_000, 0.30, 2.1e-6), "pass"),
        (arm(100_000, 0.27, 2.1e-6), "breached"),
        (arm(150, 0.27, 1e-3), "insufficient"),
        (arm(300, 0.29, 7e-4), "inconclusive"),
        (arm(1000, 0.30, None), "not_estimable"),
    ],
)
def test_a_guardrail_has_the_state_of_its_evidence(treatment: Arm, state: str) -> None:
    found = guardrail(
        control=arm(100_000, 0.30, 2.1e-6),
        treatment=treatment,
        better="higher",
        margin=0.02,
        margin_kind="relative",
        planned_n=200_000,
        final_look=True,
    )
    assert found["state"] == state


def test_a_real_cost_inside_the_margin_is_told_apart_from_a_pass() -> None:
    found = guardrail(
        control=arm(10**7, 0.30, 2.1e-8),
        treatment=arm(10**7, 0.298, 2.1e-8),
        better="higher",
        margin=0.02,
        margin_kind="relative",
        planned_n=2 * 10**7,
        final_look=False,
    )
    assert found["state"] == "pass_with_cost"


def test_an_arm_that_nobody_should_be_in_is_an_alarm_by_itself() -> None:
    assert srm(observed=[10, 1], weights=[1, 0]) == {
        "status": "alarm", "chi2": None, "dof": None, "p": 0.0,
    }  # fmt: skip
    assert srm(observed=[5000, 5400], weights=[1, 1])["status"] == "alarm"
    assert srm(observed=[0, 0], weights=[1, 1])["status"] == "insufficient"


def test_equal_beta_arms_win_half_of_the_time() -> None:
    same = bayes_beta_binomial(
        control_success=300, control_n=5000, treatment_success=300, treatment_n=5000
    )
    assert same["chance_to_win"] == pytest.approx(0.5, abs=1e-9)
    huge = bayes_beta_binomial(
        control_success=10**6, control_n=10**7, treatment_success=10**6 + 2000, treatment_n=10**7
    )
    assert 0.9 < huge["chance_to_win"] < 0.95


def test_the_smallest_effect_is_found_with_the_power_asked_for() -> None:
    size = sample_size(variance_control=0.09, variance_treatment=0.09, delta=0.01)
    least = mde(mean_control=0.1, variance=0.09, **size)
    assert least["absolute"] == pytest.approx(0.01, rel=1e-3)
    found = power(delta=0.01, variance_control=0.09, variance_treatment=0.09, **size)
    assert found["power"] == pytest.approx(0.8, abs=1e-3)


def test_a_plan_beyond_six_weeks_is_infeasible() -> None:
    slow = duration(cumulative_units=[100, 150], allocation=1.0, weight=0.5, needed_per_arm=100_000)
    assert slow["status"] == "infeasible"
    assert slow["days_planned"] is None
    nobody = duration(cumulative_units=[0], allocation=1.0, weight=0.5, needed_per_arm=1)
    assert nobody["days_needed"] is None


def test_quantiles_of_few_units_give_no_bounds() -> None:
    found = quantile_arm(units=[[], [1.0, 2.0]], q=0.5)
    assert (found["estimate"], found["lower"], found["n_units"]) == (1.5, None, 1)
    assert quantile_arm(units=[], q=0.5)["estimate"] is None


def test_a_paired_comparison_without_spread_has_no_p() -> None:
    assert paired_shadow(primary=[1, 2], shadow=[2, 3])["status"] == "zero_variance"
    assert paired_shadow(primary=[1], shadow=[2])["status"] == "too_few_units"
