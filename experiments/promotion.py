"""The promotion decision: a table read from the top, the first row that applies (statistics §8.4).

One evaluation reads one snapshot's facts; an absent fact counts as 0, a null one never helps.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

MAX_MULTI_RATE: Final = 0.01
MAX_MISMATCH: Final = 0.001
PASSING: Final = frozenset({"pass", "pass_with_cost"})


def policy_decision(*, facts: Mapping[str, Any], policy: Mapping[str, Any]) -> dict[str, Any]:
    """The action and its reasons: continue, hold, rollback, promote, request_approval or
    stop_inconclusive."""
    guardrails = facts.get("guardrails") or []
    primaries = facts.get("primaries") or []
    final_look = bool(facts.get("final_look"))
    alpha = policy.get("alpha", 0.05)
    quality_ok = facts.get("quality") == "ok"
    broken = sorted(
        f"guardrail:{g['metric']}"
        for g in guardrails
        if g["state"] == "breached" or (g["state"] == "degraded" and g.get("critical"))
    )
    if quality_ok and broken:
        return {"action": "rollback", "reasons": broken}
    if doubts := _doubts(facts, policy, quality_ok=quality_ok):
        return {"action": "hold", "reasons": doubts}
    losses = sorted(
        f"primary:{m['metric']}" for m in primaries if _is_decided(m, alpha) and m["benefit"] < 0
    )
    if losses:
        return {"action": "rollback", "reasons": losses}
    degraded = sorted(f"guardrail:{g['metric']}" for g in guardrails if g["state"] == "degraded")
    if degraded:
        return {"action": "hold", "reasons": degraded}
    if missing := _missing(facts, policy):
        action = "stop_inconclusive" if final_look else "continue"
        return {"action": action, "reasons": missing}
    wins = sorted(
        f"win:{m['metric']}" for m in primaries if _is_decided(m, alpha) and m["benefit"] > 0
    )
    open_ = sorted(f"guardrail_open:{g['metric']}" for g in guardrails if g["state"] not in PASSING)
    neutral = final_look and policy.get("on_neutral") == "promote"
    if not open_ and (wins or neutral):
        waits = _needs_approval(guardrails, policy) and not facts.get("approved")
        return {
            "action": "request_approval" if waits else "promote",
            "reasons": wins or ["neutral"],
        }
    if final_look:
        return {"action": "stop_inconclusive", "reasons": open_ if wins else ["no_win"]}
    return {"action": "continue", "reasons": open_ if wins else ["no_win_yet"]}


def _needs_approval(guardrails: Sequence[Mapping[str, Any]], policy: Mapping[str, Any]) -> bool:
    """A policy that says nothing asks a person; `when_cost` only when a guardrail has its price."""
    wanted = policy.get("approval", "required")
    if wanted == "when_cost":
        return any(g["state"] == "pass_with_cost" for g in guardrails)
    return bool(wanted != "none")


def _is_decided(metric: Mapping[str, Any], alpha: float) -> bool:
    p, benefit = metric.get("p_adjusted"), metric.get("benefit")
    return p is not None and benefit is not None and p <= alpha


def _doubts(facts: Mapping[str, Any], policy: Mapping[str, Any], *, quality_ok: bool) -> list[str]:
    doubts = []
    if facts.get("srm", "ok") in {"alarm", None}:
        doubts.append("srm")
    if not quality_ok:
        doubts.append("quality")
    if _is_above(facts.get("multi_rate", 0), policy.get("max_multi_rate", MAX_MULTI_RATE)):
        doubts.append("multi_exposed")
    if _is_above(facts.get("assignment_mismatch_rate", 0), MAX_MISMATCH):
        doubts.append("assignment_mismatch")
    return doubts


def _is_above(value: float | None, limit: float) -> bool:
    return value is None or value > limit


def _missing(facts: Mapping[str, Any], policy: Mapping[str, Any]) -> list[str]:
    missing = []
    if (facts.get("min_arm_units") or 0) < policy.get("min_units", 1000):
        missing.append("min_units")
    if (facts.get("runtime_days") or 0) < policy.get("min_days", 7):
        missing.append("min_days")
    return missing
