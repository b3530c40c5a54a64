"""What an experiment's page opens with: facts, the policy's action, and both said in words (§8, §13).

Sentences follow from facts by fixed templates. `say` has at most 90 characters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from experiments.promotion import PASSING, policy_decision
from experiments.types import Role
from portal.http import words

SAY_LENGTH: Final = 90


@dataclass(frozen=True, slots=True)
class Spoken:
    """`state` is no_exposure, uneven, doubtful, too_early, open, win, loss, neutral or ended."""

    kind: str
    state: str
    say: str
    because: str


def facts_of(
    results: Sequence[Mapping[str, Any]],
    health: Mapping[str, Any],
    *,
    alpha: float,
    runtime_days: int,
    final_look: bool,
) -> dict[str, Any]:
    """The facts that a policy reads from one snapshot, for the arm that does best (§8.3)."""
    arm = best_arm(results, alpha)
    return {
        "arm": arm,
        "srm": health["srm"]["status"],
        "quality": health["quality"],
        "multi_rate": health["multi_rate"],
        "assignment_mismatch_rate": health["mismatch_rate"],
        "runtime_days": runtime_days,
        "min_arm_units": _min_units(results),
        "final_look": final_look,
        "primaries": [
            {
                "metric": result["metric"],
                "p_adjusted": row["p_adjusted"],
                "benefit": row["benefit"],
            }
            for result, row in _rows(results, Role.PRIMARY, arm)
        ],
        "guardrails": [
            {
                "metric": result["metric"],
                "state": row["guardrail"]["state"] if row["guardrail"] else "not_estimable",
                "critical": result["critical"],
            }
            for result, row in _rows(results, Role.GUARDRAIL, arm)
        ],
        "approved": False,
    }


def best_arm(results: Sequence[Mapping[str, Any]], alpha: float) -> str | None:
    """The treatment that wins; with a tie or without a win the one that is ahead.

    An arm whose guardrails pass comes before one whose do not, a win before none, then the largest
    relative gain on the first primary.
    """
    primaries = [result for result in results if result["role"] == Role.PRIMARY]
    if not primaries:
        return None

    def rank(row: Mapping[str, Any]) -> tuple[bool, bool, float]:
        arm = row["variant"]
        won = any(
            found["p_adjusted"] is not None
            and found["p_adjusted"] <= alpha
            and (found["benefit"] or 0) > 0
            for _, found in _rows(results, Role.PRIMARY, arm)
        )
        safe = all(
            found["guardrail"] is not None and found["guardrail"]["state"] in PASSING
            for _, found in _rows(results, Role.GUARDRAIL, arm)
        )
        return won, won and safe, row["benefit"] or 0.0

    rows: Sequence[Mapping[str, Any]] = primaries[0]["comparisons"]
    return str(max(rows, key=rank)["variant"]) if rows else None


def _rows(
    results: Sequence[Mapping[str, Any]], role: str, arm: str | None
) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    return [
        (result, row)
        for result in results
        if result["role"] == role
        for row in result["comparisons"]
        if row["variant"] == arm
    ]


def _min_units(results: Sequence[Mapping[str, Any]]) -> int | None:
    counts = [
        arm["n"]
        for result in results
        if result["role"] == Role.PRIMARY
        for arm in (result["control"], *result["comparisons"])
    ]
    return min(counts) if counts else None


def verdict_of(
    facts: Mapping[str, Any],
    policy: Mapping[str, Any],
    results: Sequence[Mapping[str, Any]],
    health: Mapping[str, Any],
    names: Mapping[str, str],
) -> dict[str, Any]:
    """The verdict of a snapshot: action, reasons, facts, and what the page says of them.

    `names` gives a variant's name by its key.
    """
    found = policy_decision(facts=facts, policy=policy)
    metric_names = {result["metric"]: result["name"] for result in results}
    spoken = _speak(found["action"], found["reasons"], facts, policy, health, names, metric_names)
    return {
        "action": found["action"],
        "reasons": found["reasons"],
        "facts": dict(facts),
        "kind": spoken.kind,
        "state": spoken.state,
        "say": spoken.say if len(spoken.say) <= SAY_LENGTH else spoken.say[: SAY_LENGTH - 1] + "…",
        "because": spoken.because,
    }


def _speak(
    action: str,
    reasons: Sequence[str],
    facts: Mapping[str, Any],
    policy: Mapping[str, Any],
    health: Mapping[str, Any],
    names: Mapping[str, str],
    metric_names: Mapping[str, str],
) -> Spoken:
    missing = [names[key] for key, count in health["first"].items() if not count]
    if missing:
        return Spoken(
            "warn",
            "no_exposure",
            "Nobody has been exposed yet." if len(missing) == len(names) else "An arm is empty.",
            f"There is no exposure in {_join(missing)}. Nothing is estimated until every arm has "
            "units.",
        )
    if facts["srm"] == "alarm":
        return Spoken("bad", "uneven", "The split is uneven. Nothing here can be read.", _uneven(
            health, names))  # fmt: skip
    arm = names.get(facts["arm"] or "", "The variant")
    subjects = [metric_names.get(reason.partition(":")[2], "") for reason in reasons]
    listed = _join([name.lower() for name in subjects if name])
    if action == "rollback":
        say = f"{arm} makes {listed} worse." if subjects else "It does harm."
        return Spoken("bad", "loss", say, "The policy says: roll back to the control.")
    if action == "hold":
        return Spoken("bad", "doubtful", *_doubt(reasons, listed, health))
    if action in {"promote", "request_approval"}:
        say = (
            f"{arm} wins and harms nothing we guard."
            if reasons != ["neutral"]
            else f"{arm} harms nothing we guard."
        )
        waits = " It waits for approval." if action == "request_approval" else ""
        return Spoken("ok", "win", say, f"{_effect(facts, metric_names)}{waits}")
    if action == "stop_inconclusive":
        return Spoken(
            "warn", "ended", "It ended without a winner.", _why(reasons, facts, policy, listed)
        )
    wins = [row for row in facts["primaries"] if _won(row, policy)]
    if {"min_units", "min_days"} & set(reasons):
        say = f"{arm} is ahead. Too early to decide." if wins else "Too early to say."
        return Spoken("warn", "too_early", say, _why(reasons, facts, policy, listed))
    if wins:
        return Spoken(
            "warn",
            "open",
            f"{arm} wins, but {listed} is still open.",
            "A guardrail has to pass before anyone may ship.",
        )
    return Spoken(
        "warn",
        "open",
        "No winner yet.",
        "No difference has shown that would hold at every look. It goes on as planned.",
    )


def _won(row: Mapping[str, Any], policy: Mapping[str, Any]) -> bool:
    return (
        row["p_adjusted"] is not None
        and row["p_adjusted"] <= policy["alpha"]
        and (row["benefit"] or 0) > 0
    )


def _uneven(health: Mapping[str, Any], names: Mapping[str, str]) -> str:
    expected = health["srm"]["expected"]
    gaps = {key: health["first"][key] - expected[key] for key in names}
    worst = min(gaps, key=lambda key: gaps[key] / max(expected[key], 1))
    found, wanted = health["first"][worst], expected[worst]
    return (
        f"{names[worst]} has {words.number(found)} units where {words.number(round(wanted))} are "
        "expected; chance gives such a split less than once in 1,000 times. Verdicts are frozen "
        "until somebody finds the cause."
    )


def _doubt(reasons: Sequence[str], listed: str, health: Mapping[str, Any]) -> tuple[str, str]:
    first = reasons[0]
    if first == "quality":
        return (
            "A stream this stands on is in doubt.",
            (
                f"{_join(health['quality_streams']) or 'A source'} has an open alarm, so the reading "
                "pauses until it recovers."
            ),
        )
    if first == "multi_exposed":
        return (
            "Too many units saw more than one variant.",
            (
                f"{words.share(health['multi_rate'])} of the units are left out; above 1 % nothing is "
                "decided."
            ),
        )
    if first == "assignment_mismatch":
        return (
            "Exposures do not match the assignment.",
            (
                f"{words.share(health['mismatch_rate'])} of the units report an arm that they were not "
                "assigned to: a stale client, or an assignment made elsewhere."
            ),
        )
    if first == "srm":
        return "The split is not measured.", "Nothing is decided without it."
    return f"It makes {listed} worse.", "That guardrail is not critical: a person decides."


def _why(
    reasons: Sequence[str], facts: Mapping[str, Any], policy: Mapping[str, Any], listed: str
) -> str:
    parts = []
    if "min_units" in reasons:
        parts.append(
            f"The smallest arm has {words.number(facts['min_arm_units'] or 0)} mature units of "
            f"{words.number(policy['min_units'])}."
        )
    if "min_days" in reasons:
        parts.append(
            f"{words.plural(facts['runtime_days'], 'day')} of {policy['min_days']} passed."
        )
    if "no_win" in reasons:
        parts.append("No primary metric moved beyond what chance explains.")
    if listed and not parts:
        parts.append(f"{listed.capitalize()} did not settle.")
    return " ".join(parts)


def _effect(facts: Mapping[str, Any], metric_names: Mapping[str, str]) -> str:
    won = [
        metric_names[row["metric"]] for row in facts["primaries"] if row["p_adjusted"] is not None
    ]
    if not won or not facts["primaries"]:
        return "Every guardrail passes."
    p = min(row["p_adjusted"] for row in facts["primaries"] if row["p_adjusted"] is not None)
    return f"{_join(won)}: p = {p:.2g}, valid at every look. Every guardrail passes."


def _join(names: Sequence[str]) -> str:
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
