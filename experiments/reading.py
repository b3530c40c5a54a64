"""From sufficient statistics to a reading: what each line of an experiment's results says (§5.9).

Pure: no clock and no database. A reading of the same statistics is the same, always.

1. Each metric gives an arm a variant; where a pre-period exists, CUPED takes its noise out (§4).
2. Every treatment is compared with the control by the hybrid test; guardrails by their margin.
3. Holm over primaries × arms; Benjamini and Hochberg over secondaries × arms (§5.5).
4. A word follows for each line. Below the minimum data it is `too_early` and shows no effect; with
   an uneven split it is `frozen`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from experiments.stats.arms import Arm, arm_mean, arm_proportion
from experiments.stats.bayes import bayes_normal
from experiments.stats.comparison import lift_interval, pair_of, welch
from experiments.stats.families import adjust
from experiments.stats.guardrails import guardrail
from experiments.stats.sequential import decision, hybrid_critical
from experiments.types import Better, MarginKind, MetricType, Role

SHOW_UNITS: Final = 200
SHOW_SUCCESSES: Final = 10
SECONDARY_RATE: Final = 0.1
HARM_ALPHA: Final = 0.01
NULL_SHARE_WARNING: Final = 0.05


@dataclass(frozen=True, slots=True)
class ArmSums:
    """Sums over the units of one arm: the metric y, its value x in the pre-period, and events."""

    n: int = 0
    total: float = 0.0
    squares: float = 0.0
    raw_total: float = 0.0
    nonzero: int = 0
    capped: int = 0
    x_total: float = 0.0
    x_squares: float = 0.0
    xy: float = 0.0
    hits: int = 0
    misses: int = 0


@dataclass(frozen=True, slots=True)
class MeasureFacts:
    """One metric in its role with the sums of every arm."""

    key: str
    version: int
    name: str
    role: str
    type: str
    better: str
    unit: str
    stream: str
    arms: Mapping[str, ArmSums]
    margin: float | None = None
    margin_kind: str = MarginKind.RELATIVE
    critical: bool = False
    unit_scale: int = 1
    has_value: bool = False
    window_seconds: int | None = None
    cap: float | None = None
    has_pre_period: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """The moment of a reading. `variants` in declared order, the control among them."""

    variants: Sequence[str]
    control: str
    alpha: float
    planned_units: int
    final_look: bool
    frozen: bool

    @property
    def treatments(self) -> list[str]:
        """The keys of all variants but the control, in declared order."""
        return [key for key in self.variants if key != self.control]


def read_measures(measures: Sequence[MeasureFacts], look: Look) -> list[dict[str, Any]]:
    """The results of all metrics, with p adjusted within their families."""
    guards = sum(measure.role == Role.GUARDRAIL for measure in measures) * len(look.treatments)
    results = [_read(measure, look, alpha_harm=HARM_ALPHA / max(guards, 1)) for measure in measures]
    _adjust(results, Role.PRIMARY, "p_decision", "holm")
    _adjust(results, Role.SECONDARY, "p_fixed_now", "bh")
    for result in results:
        for row in result["comparisons"]:
            row["reading"] = _word(result, row, look)
            row.pop("p_fixed_now")
    return results


def _read(measure: MeasureFacts, look: Look, *, alpha_harm: float) -> dict[str, Any]:
    control = measure.arms.get(look.control, ArmSums())
    hits = sum(arm.hits for arm in measure.arms.values())
    misses = sum(arm.misses for arm in measure.arms.values()) if measure.has_value else 0
    return {
        "metric": measure.key,
        "version": measure.version,
        "name": measure.name,
        "role": measure.role,
        "type": measure.type,
        "better": measure.better,
        "unit": measure.unit,
        "unit_scale": measure.unit_scale,
        "stream": measure.stream,
        "window_seconds": measure.window_seconds,
        "margin": measure.margin,
        "margin_kind": measure.margin_kind if measure.margin is not None else None,
        "critical": measure.critical,
        "cap": measure.cap,
        "capped": sum(arm.capped for arm in measure.arms.values()),
        "null_share": misses / hits if hits and measure.has_value else None,
        "control": _arm_line(look.control, control, measure.type),
        "comparisons": [
            _compare(measure, control, key, look, alpha_harm) for key in look.treatments
        ],
    }


def _arm_line(variant: str, sums: ArmSums, kind: str) -> dict[str, Any]:
    arm = plain_arm(sums, kind)
    return {
        "variant": variant,
        "n": arm["n"],
        "estimate": arm["estimate"],
        "variance_of_estimate": arm["variance_of_estimate"],
        "uncapped_estimate": sums.raw_total / sums.n if sums.n else None,
    }


def plain_arm(sums: ArmSums, kind: str) -> Arm:
    """The arm of a metric without adjustment."""
    if kind == MetricType.PROPORTION:
        found = arm_proportion(n=sums.n, successes=round(sums.total))
    else:
        found = arm_mean(n=sums.n, sum=sums.total, sum_squares=sums.squares)
    return {
        "n": found["n"],
        "estimate": found["estimate"],
        "variance_of_estimate": found["variance_of_estimate"],
    }


def _compare(
    measure: MeasureFacts, control: ArmSums, key: str, look: Look, alpha_harm: float
) -> dict[str, Any]:
    treatment = measure.arms.get(key, ArmSums())
    arms = plain_arm(control, measure.type), plain_arm(treatment, measure.type)
    adjusted = _adjusted_arms(control, treatment) if measure.has_pre_period else None
    left, right = (adjusted.control, adjusted.treatment) if adjusted else arms
    pair = pair_of(left, right)
    gate = _gate(control, treatment, look)
    status = gate or (pair if isinstance(pair, str) else "ok")
    row: dict[str, Any] = {
        **_arm_line(key, treatment, measure.type),
        "status": status,
        "cuped": None,
        "difference": None,
        "lift": None,
        "critical": None,
        "p_sequential": None,
        "p_fixed": None,
        "p_fixed_now": None,
        "p_decision": None,
        "p_adjusted": None,
        "benefit": None,
        "guardrail": None,
        "bayes": None,
    }
    if measure.role == Role.GUARDRAIL:
        row["guardrail"] = _guard(measure, left, right, look, alpha_harm)
    if status != "ok" or isinstance(pair, str):
        return row
    tested = decision(
        control=left,
        treatment=right,
        alpha=look.alpha,
        planned_n=look.planned_units,
        final_look=look.final_look,
    )
    critical = hybrid_critical(
        pair, alpha=look.alpha, planned_n=look.planned_units, final_look=look.final_look
    )
    lift = lift_interval(control=left, treatment=right, critical=critical)
    better: Any = measure.better
    row |= {
        "cuped": adjusted.line() if adjusted else None,
        "difference": {
            "estimate": tested["diff"],
            "lower": tested["lower"],
            "upper": tested["upper"],
        },
        "lift": {
            "status": lift["status"],
            "estimate": lift["lift"],
            "lower": lift["lower"],
            "upper": lift["upper"],
        },
        "critical": critical,
        "p_sequential": tested["p_sequential"],
        "p_fixed": tested["p_fixed"],
        "p_fixed_now": welch(control=left, treatment=right)["p"],
        "p_decision": tested["p_decision"],
        "benefit": pair.diff if measure.better == Better.HIGHER else -pair.diff,
        "bayes": bayes_normal(control=left, treatment=right, better=better),
    }
    return row


def _gate(control: ArmSums, treatment: ArmSums, look: Look) -> str | None:
    """Why an effect may not be shown yet; None when it may."""
    if look.frozen:
        return "frozen"
    if not control.n or not treatment.n:
        return "not_measured"
    if min(control.n, treatment.n) < SHOW_UNITS:
        return "too_early"
    if min(control.nonzero, treatment.nonzero) < SHOW_SUCCESSES:
        return "not_measured" if control.hits + treatment.hits == 0 else "too_early"
    return None


@dataclass(frozen=True, slots=True)
class _Adjusted:
    theta: float
    reduction: float | None
    control: Arm
    treatment: Arm

    def line(self) -> dict[str, float | None]:
        return {"theta": self.theta, "variance_reduction": self.reduction}


def _adjusted_arms(control: ArmSums, treatment: ArmSums) -> _Adjusted | None:
    """CUPED from sums (§4); None when the covariate does not vary or an arm is too small."""
    n = control.n + treatment.n
    if min(control.n, treatment.n) < 2:
        return None
    x, y = control.x_total + treatment.x_total, control.total + treatment.total
    spread = control.x_squares + treatment.x_squares - x * x / n
    if spread <= 0:
        return None
    theta = (control.xy + treatment.xy - x * y / n) / spread
    left, right = _shifted(control, theta, x / n), _shifted(treatment, theta, x / n)
    raw = sum(
        _centred(arm.squares, arm.total, arm.total, arm.n) / (arm.n - 1) / arm.n
        for arm in (control, treatment)
    )
    after = (left["variance_of_estimate"] or 0) + (right["variance_of_estimate"] or 0)
    return _Adjusted(theta, 1 - after / raw if raw else None, left, right)


def _shifted(sums: ArmSums, theta: float, centre: float) -> Arm:
    yy = _centred(sums.squares, sums.total, sums.total, sums.n)
    xx = _centred(sums.x_squares, sums.x_total, sums.x_total, sums.n)
    xy = _centred(sums.xy, sums.x_total, sums.total, sums.n)
    variance = max(0.0, yy - 2 * theta * xy + theta * theta * xx) / (sums.n - 1)
    return {
        "n": sums.n,
        "estimate": sums.total / sums.n - theta * (sums.x_total / sums.n - centre),
        "variance_of_estimate": variance / sums.n,
    }


def _centred(products: float, left: float, right: float, n: int) -> float:
    return products - left * right / n


def _guard(
    measure: MeasureFacts, control: Arm, treatment: Arm, look: Look, alpha_harm: float
) -> dict[str, Any] | None:
    if look.frozen:
        return None
    better: Any = measure.better
    kind: Any = measure.margin_kind
    assert measure.margin is not None  # a guardrail has one, by constraint
    return dict(
        guardrail(
            control=control,
            treatment=treatment,
            better=better,
            margin=measure.margin,
            margin_kind=kind,
            planned_n=look.planned_units,
            final_look=look.final_look,
            alpha_harm=alpha_harm,
        )
    )


def _adjust(results: Sequence[dict[str, Any]], role: str, column: str, method: Any) -> None:
    rows = [row for result in results if result["role"] == role for row in result["comparisons"]]
    adjusted = adjust(p=[row[column] for row in rows], method=method)["adjusted"]
    for row, value in zip(rows, adjusted, strict=True):
        row["p_adjusted"] = value


def _word(result: Mapping[str, Any], row: Mapping[str, Any], look: Look) -> str:
    """The reading of one line: better, worse, not_yet, no_difference; a guardrail's state; or why
    there is none."""
    if row["guardrail"] is not None and row["status"] not in {"not_measured", "frozen"}:
        return str(row["guardrail"]["state"])
    if row["status"] != "ok":
        return str(row["status"])
    limit = look.alpha if result["role"] == Role.PRIMARY else SECONDARY_RATE
    if row["p_adjusted"] is not None and row["p_adjusted"] <= limit and row["benefit"]:
        return "better" if row["benefit"] > 0 else "worse"
    return "no_difference" if look.final_look else "not_yet"
