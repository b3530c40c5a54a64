from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.targeting import check_rule, targeting


def leaf(op: str, value: Any = None, attr: str = "a") -> dict[str, Any]:
    return {"attr": attr, "op": op, "value": value}


@pytest.mark.parametrize(
    ("op", "actual", "wanted", "value"),
    [
        ("eq", 1, 1.0, "true"),
        ("eq", True, 1, "unknown"),
        ("ne", "x", "y", "true"),
        ("ne", 1, "1", "unknown"),
        ("in", 2, [1, 2.0], "true"),
        ("in", True, [1], "false"),
        ("not_in", "FI", ["SE"], "true"),
        ("in", ["FI"], ["FI"], "unknown"),
        ("lt", 1, 2, "true"),
        ("gte", "2", 1, "unknown"),
        ("contains", "Shop", "ho", "true"),
        ("contains", "Shop", "HO", "false"),
        ("starts_with", "Shop", "Sh", "true"),
        ("ends_with", 3, "p", "unknown"),
        ("semver_lt", "1.0.0-rc.1", "1.0.0", "true"),
        ("semver_lt", "1.0.0-rc.2", "1.0.0-rc.10", "true"),
        ("semver_lt", "1.0.0-1", "1.0.0-alpha", "true"),
        ("semver_lt", "1.0.0-alpha", "1.0.0-alpha.1", "true"),
        ("semver_gte", "2.10.0", "2.9.9", "true"),
        ("semver_eq", "1.2.3+build7", "1.2.3", "true"),
        ("semver_eq", "1.2", "1.2.0", "unknown"),
        ("before", "2026-11-24T10:00:00+02:00", "2026-11-24T08:00:00.5Z", "true"),
        ("after", "2026-11-24T10:00:00", "2026-11-24T08:00:00Z", "unknown"),
        ("after", "2026-02-30T10:00:00Z", "2026-01-01T00:00:00Z", "unknown"),
        ("exists", None, None, "false"),
        ("exists", False, None, "true"),
    ],
)
def test_leaves_compare_values_of_one_kind(op: str, actual: Any, wanted: Any, value: str) -> None:
    assert targeting(rule=leaf(op, wanted), attributes={"a": actual})["value"] == value


def test_empty_all_is_true_and_empty_any_is_false() -> None:
    assert targeting(rule={"all": []}, attributes={})["match"]
    assert targeting(rule={"any": []}, attributes={})["value"] == "false"


def test_a_false_part_settles_all_and_a_true_part_settles_any_whatever_is_unknown() -> None:
    unknown, false, true = leaf("eq", 1, "gone"), leaf("eq", 2), leaf("eq", 1)
    given_one = {"a": 1}
    assert targeting(rule={"all": [unknown, false]}, attributes=given_one)["value"] == "false"
    assert targeting(rule={"all": [unknown, true]}, attributes=given_one)["value"] == "unknown"
    assert targeting(rule={"any": [unknown, true]}, attributes=given_one)["value"] == "true"
    assert targeting(rule={"any": [unknown, false]}, attributes=given_one)["value"] == "unknown"


LEAVES = st.sampled_from([leaf("eq", 1), leaf("eq", 2), leaf("eq", 1, "gone")])
RULES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: {"all": parts}),
        st.lists(inner, max_size=3).map(lambda parts: {"any": parts}),
        inner.map(lambda part: {"not": part}),
    ),
    max_leaves=8,
)


@given(RULES)
def test_a_rule_and_its_negation_never_both_match(rule: dict[str, Any]) -> None:
    check_rule(rule)
    plain = targeting(rule=rule, attributes={"a": 1})
    negated = targeting(rule={"not": rule}, attributes={"a": 1})
    assert not (plain["match"] and negated["match"])
    assert (plain["value"] == "unknown") is (negated["value"] == "unknown")


@pytest.mark.parametrize(
    "rule", [[], {}, {"all": "x"}, {"attr": "a", "op": "like"}, {"not": 1}, {"cel": "true"}]
)
def test_what_is_no_rule_is_refused(rule: Any) -> None:
    with pytest.raises(ValueError, match=r"a |rule|hold"):
        check_rule(rule)
