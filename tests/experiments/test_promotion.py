from typing import Any

import pytest

from experiments.promotion import policy_decision

FACTS: dict[str, Any] = {
    "srm": "ok",
    "quality": "ok",
    "multi_rate": 0.0,
    "runtime_days": 14,
    "min_arm_units": 20_000,
    "final_look": False,
    "primaries": [{"metric": "conversion", "p_adjusted": 0.01, "benefit": 0.004}],
    "guardrails": [{"metric": "errors", "state": "pass", "critical": True}],
}


def decide(policy: dict[str, Any] | None = None, **facts: Any) -> tuple[str, list[str]]:
    found = policy_decision(facts=FACTS | facts, policy=policy or {"approval": "none"})
    return found["action"], found["reasons"]


def guard(state: str, *, critical: bool = False) -> dict[str, Any]:
    return {"metric": "errors", "state": state, "critical": critical}


LOSS = [{"metric": "conversion", "p_adjusted": 0.01, "benefit": -0.004}]
OPEN = [{"metric": "conversion", "p_adjusted": 0.4, "benefit": 0.004}]


@pytest.mark.parametrize(
    ("facts", "action", "reasons"),
    [
        ({"guardrails": [guard("breached")]}, "rollback", ["guardrail:errors"]),
        ({"guardrails": [guard("breached")], "quality": "tainted"}, "hold", ["quality"]),
        ({"guardrails": [guard("degraded")]}, "hold", ["guardrail:errors"]),
        ({"srm": "alarm", "multi_rate": 0.02}, "hold", ["srm", "multi_exposed"]),
        ({"srm": None}, "hold", ["srm"]),
        ({"multi_rate": None}, "hold", ["multi_exposed"]),
        ({"assignment_mismatch_rate": 0.002}, "hold", ["assignment_mismatch"]),
        ({"primaries": LOSS}, "rollback", ["primary:conversion"]),
        ({"min_arm_units": 10, "runtime_days": 1}, "continue", ["min_units", "min_days"]),
        ({"runtime_days": 1, "final_look": True}, "stop_inconclusive", ["min_days"]),
        ({"primaries": OPEN}, "continue", ["no_win_yet"]),
        ({"primaries": OPEN, "final_look": True}, "stop_inconclusive", ["no_win"]),
        (
            {"guardrails": [guard("inconclusive")], "final_look": True},
            "stop_inconclusive",
            ["guardrail_open:errors"],
        ),
        (
            {"primaries": [{"metric": "x", "p_adjusted": None, "benefit": 1}]},
            "continue",
            ["no_win_yet"],
        ),
    ],
)
def test_the_first_row_of_the_table_that_holds_is_the_action(
    facts: dict[str, Any], action: str, reasons: list[str]
) -> None:
    assert decide(**facts) == (action, reasons)


def test_a_policy_that_says_nothing_asks_a_person() -> None:
    assert decide({"alpha": 0.05})[0] == "request_approval"
    assert decide({"alpha": 0.05}, approved=True)[0] == "promote"


def test_approval_when_cost_is_asked_for_only_where_a_guardrail_has_its_price() -> None:
    policy = {"approval": "when_cost"}
    assert decide(policy)[0] == "promote"
    assert decide(policy, guardrails=[guard("pass_with_cost")])[0] == "request_approval"


def test_a_harmless_change_may_be_promoted_without_a_win_when_the_policy_says_so() -> None:
    policy = {"approval": "none", "on_neutral": "promote"}
    assert decide(policy, primaries=OPEN, final_look=True) == ("promote", ["neutral"])
    assert decide(policy, primaries=OPEN)[0] == "continue"
