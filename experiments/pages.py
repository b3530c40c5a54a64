"""What the page of an experiment shows, worked out from one snapshot: rows, facts, arms, days."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.utils.safestring import SafeString, mark_safe

from experiments import drawing
from experiments.models import AnalysisSnapshot, Experiment, Variant
from experiments.promotion import PASSING
from experiments.types import MetricType, Role
from portal.http import words

_CONTROL_FIRST: Final = "A"
_LETTERS: Final = "ABCDEFGHIJ"
_GROUPS: Final = (
    (Role.PRIMARY, "Primary", ""),
    (Role.GUARDRAIL, "Guardrails", "pass when the bar stays out of the shade"),
    (
        Role.SECONDARY,
        "Secondary",
        "exploratory: a reading may say more than its bar, and never decides",
    ),
)
# A reading as a badge: colour, icon, word.
READINGS: Final[Mapping[str, tuple[str, str, str]]] = {
    "better": ("ok", "up", "Better"),
    "worse": ("bad", "dn", "Worse"),
    "not_yet": ("", "clock", "Not yet"),
    "no_difference": ("", "check", "No difference"),
    "pass": ("ok", "check", "Pass"),
    "pass_with_cost": ("warn", "warn", "Pass with cost"),
    "inconclusive": ("warn", "warn", "Open"),
    "degraded": ("bad", "bad", "Degraded"),
    "breached": ("bad", "bad", "Breached"),
    "insufficient": ("", "clock", "Too early"),
    "too_early": ("", "clock", "Too early"),
    "too_few_units": ("", "clock", "Too early"),
    "not_measured": ("", "info", "Not measured"),
    "not_estimable": ("", "info", "Not measured"),
    "zero_variance": ("", "info", "No spread"),
    "frozen": ("bad", "lock", "Frozen"),
}


@dataclass(frozen=True, slots=True)
class Arm:
    """A variant as pages name it: a letter, control first."""

    key: str
    letter: str
    name: str
    description: str
    units: int
    share: float | None


@dataclass(frozen=True, slots=True)
class Line:
    """One treatment under one metric."""

    letter: str
    estimate: str
    interval: SafeString
    change: str
    bounds: str
    badge: str
    icon: str
    reading: str
    note: str


@dataclass(frozen=True, slots=True)
class MetricRows:
    """A metric of the table: the control's estimate in words, and a line for each treatment."""

    name: str
    note: str
    control: str
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True)
class Group:
    """The metrics of one role, and what stands beside its title."""

    name: str
    note: str
    metrics: Sequence[MetricRows]


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of "may we ship": `state` is ok, wait, bad or later."""

    state: str
    text: str
    note: str


@dataclass(frozen=True, slots=True)
class DayTable:
    """The day-by-day chart: two widths, and the same as a table."""

    metric: str
    wide: SafeString
    narrow: SafeString
    letters: Sequence[tuple[str, int, str]]
    rows: Sequence[tuple[str, Sequence[str]]]
    note: str


def arms_of(variants: Sequence[Variant], health: Mapping[str, Any]) -> list[Arm]:
    """The arms with their units so far, control first."""
    first: Mapping[str, int] = health.get("first", {})
    units = health.get("units", 0)
    ordered = sorted(variants, key=lambda variant: (not variant.is_control, variant.position))
    return [
        Arm(
            key=variant.key,
            letter=_LETTERS[place],
            name=variant.name,
            description=variant.description,
            units=first.get(variant.key, 0),
            share=first.get(variant.key, 0) / units if units else None,
        )
        for place, variant in enumerate(ordered)
    ]


def axis_of(results: Sequence[Mapping[str, Any]]) -> drawing.Axis:
    """The one axis that every row shares."""
    values = []
    for result in results:
        for row in result["comparisons"]:
            if row["lift"] and row["lift"]["status"] == "ok":
                values += [row["lift"]["lower"], row["lift"]["upper"]]
        limit = _limit(result)
        if limit is not None:
            values.append(limit)
    return drawing.axis_over(values)


def groups_of(results: Sequence[Mapping[str, Any]], arms: Sequence[Arm]) -> list[Group]:
    """The table of results by role; roles without a metric are absent."""
    axis = axis_of(results)
    letters = {arm.key: arm.letter for arm in arms}
    groups = []
    for role, name, note in _GROUPS:
        rows = [_metric_rows(r, axis, letters) for r in results if r["role"] == role]
        if rows:
            groups.append(Group(name, note, rows))
    return groups


def _metric_rows(
    result: Mapping[str, Any], axis: drawing.Axis, letters: Mapping[str, str]
) -> MetricRows:
    return MetricRows(
        name=result["name"],
        note=_note(result),
        control=estimate_text(result, result["control"]["estimate"]),
        lines=[_line(result, row, axis, letters) for row in result["comparisons"]],
    )


def _note(result: Mapping[str, Any]) -> str:
    if result["role"] == Role.GUARDRAIL:
        verb = "rise" if result["better"] == "lower" else "fall"
        margin = result["margin"]
        amount = (
            words.share(margin)
            if result["margin_kind"] == "relative"
            else estimate_text(result, margin)
        )
        return f"may {verb} by {amount}"
    parts = [f"{result['better']} is better"]
    if result["null_share"] is not None and result["null_share"] > 0.05:
        parts.append(f"{words.share(result['null_share'])} of its events have no value")
    if result["capped"]:
        parts.append(f"{words.plural(result['capped'], 'unit')} capped")
    return ", ".join(parts)


def estimate_text(result: Mapping[str, Any], value: float | None) -> str:
    """An estimate as people read it: a share in percent, else a number with its unit."""
    if value is None:
        return "–"
    if result["type"] == MetricType.PROPORTION:
        return f"{value * 100:.{_digits(value * 100)}f}{words.NBSP}%"
    scaled = value / result["unit_scale"]
    text = f"{scaled:,.{_digits(scaled)}f}"
    return f"{text}{words.NBSP}{result['unit']}" if result["unit"] else text


def _digits(value: float) -> int:
    """Digits after the point that leave four figures."""
    return 2 if value == 0 else min(6, max(0, 3 - math.floor(math.log10(abs(value)))))


def _line(
    result: Mapping[str, Any],
    row: Mapping[str, Any],
    axis: drawing.Axis,
    letters: Mapping[str, str],
) -> Line:
    colour, icon, word = READINGS[row["reading"]]
    lift = row["lift"] or {"status": "", "estimate": None, "lower": None, "upper": None}
    change, bounds, label = _change(result, row, lift)
    side = clears_zero(result, lift)
    if row["reading"] == "better" and (lift["estimate"] or 0) < 0:
        icon = "dn"
    is_exploratory = result["role"] == Role.SECONDARY and row["reading"] in ("better", "worse")
    if is_exploratory and side != row["reading"]:
        colour = "line"  # the word of a fixed look, which the interval does not bear out
    return Line(
        letter=letters[row["variant"]],
        estimate=estimate_text(result, row["estimate"]),
        interval=drawing.interval_row(
            axis,
            estimate=lift["estimate"],
            lower=lift["lower"],
            upper=lift["upper"],
            css=_bar_colour(result, row, side),
            label=label,
            limit=_limit(result),
            worse_above=result["better"] == "lower",
        ),
        change=change,
        bounds=bounds,
        badge=colour,
        icon=icon,
        reading=word,
        note="exploratory" if is_exploratory else "",
    )


def clears_zero(result: Mapping[str, Any], lift: Mapping[str, Any]) -> str:
    """The side on which a whole interval lies: better, worse, or nothing when it holds zero."""
    if lift["lower"] is None or lift["upper"] is None or lift["lower"] <= 0 <= lift["upper"]:
        return ""
    return "better" if (lift["lower"] > 0) == (result["better"] == "higher") else "worse"


def _bar_colour(result: Mapping[str, Any], row: Mapping[str, Any], side: str) -> str:
    """Green and amber say what the bar itself shows; a guardrail's bar is amber by its state."""
    if result["role"] == Role.GUARDRAIL:
        is_open = row["reading"] in {"inconclusive", "degraded", "breached", "pass_with_cost"}
        return "wrn" if is_open else "neu"
    return {"better": "pos", "worse": "wrn"}.get(side, "neu")


def _change(
    result: Mapping[str, Any], row: Mapping[str, Any], lift: Mapping[str, Any]
) -> tuple[str, str, str]:
    """The change in words, its bounds, and both as one sentence for who cannot see the bar."""
    if row["difference"] is None:
        return "–", "", READINGS[row["reading"]][2]
    if lift["status"] != "ok":
        difference = row["difference"]
        values = [estimate_text(result, difference[n]) for n in ("estimate", "lower", "upper")]
        return values[0], f"{values[1]} to {values[2]}", f"{values[0]} absolute"
    digits = interval_digits(lift["lower"], lift["upper"])
    change = f"{drawing.percent(lift['estimate'], digits)}{words.NBSP}%"
    low, high = (drawing.percent(lift[name], digits) for name in ("lower", "upper"))
    return change, f"{low} to {high}", f"{change}, between {low} and {high} %"


def effect_of(snapshot: AnalysisSnapshot) -> str:
    """The first primary of the leading arm in a sentence; empty before there is an effect."""
    found = _leading(snapshot)
    if found is None:
        return ""
    result, row = found
    change, bounds, _ = _change(result, row, row["lift"])
    return f"{result['name']} {change}, plausibly {bounds}."


def glyph_of(snapshot: AnalysisSnapshot) -> SafeString:
    """The same as a small interval around zero, for lists; empty before there is an effect."""
    found = _leading(snapshot)
    if found is None:
        return mark_safe("")
    result, row = found
    lift = row["lift"]
    css = {"better": "pos", "worse": "neg"}.get(clears_zero(result, lift), "neu")
    if snapshot.verdict["kind"] == "bad":
        css = "off" if snapshot.verdict["state"] in ("uneven", "doubtful") else css
    return drawing.glyph(lift["estimate"], lift["lower"], lift["upper"], css, effect_of(snapshot))


def _leading(snapshot: AnalysisSnapshot) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
    """The first primary and the line of the leading arm in it, when its effect can be shown."""
    arm = snapshot.verdict["facts"]["arm"]
    for result in snapshot.results:
        if result["role"] != Role.PRIMARY:
            continue
        for row in result["comparisons"]:
            if row["variant"] == arm and row["lift"] and row["lift"]["status"] == "ok":
                return result, row
        return None
    return None


def interval_digits(lower: float, upper: float) -> int:
    """Digits after the point, in percent, that show the width of an interval to two figures."""
    width = abs(upper - lower) * 100
    return 1 if width == 0 else min(3, max(0, 1 - math.floor(math.log10(width))))


def _limit(result: Mapping[str, Any]) -> float | None:
    """A guardrail's margin as a lift; None where it has none or the control is 0."""
    margin = result["margin"]
    if margin is None:
        return None
    if result["margin_kind"] == "absolute":
        control = result["control"]["estimate"]
        if not control:
            return None
        margin = margin / abs(control)
    return float(margin if result["better"] == "lower" else -margin)


def policy_facts(experiment: Experiment, snapshot: AnalysisSnapshot, arm: Arm | None) -> list[Fact]:
    """The policy's conditions in its order, each with what the snapshot says of it."""
    facts, policy = snapshot.verdict["facts"], experiment.policy
    health = snapshot.health
    letter = arm.letter if arm is not None else "–"
    return [
        _split_fact(health["srm"]),
        _win_fact(snapshot.results, facts, policy["alpha"], letter),
        _guard_fact(facts["guardrails"], letter),
        _source_fact(snapshot),
        _units_fact(facts, policy["min_units"]),
        _days_fact(experiment, facts, policy["min_days"]),
        Fact(
            "later" if policy["approval"] != "none" else "ok",
            "Sign-off",
            "One approval, by somebody else than who asked"
            if policy["approval"] != "none"
            else "This policy needs none",
        ),
    ]


def _split_fact(srm: Mapping[str, Any]) -> Fact:
    if srm["status"] == "insufficient":
        return Fact("wait", "Assignment is not tested yet", "Needs 100 units")
    p = f"p = {srm['p']:.2g}, tested once a day"
    if srm["status"] == "alarm":
        return Fact("bad", "Assignment is uneven", p)
    if srm["status"] == "warning":
        return Fact("wait", "Assignment may be uneven", p)
    return Fact("ok", "Assignment is even", p)


def _win_fact(
    results: Sequence[Mapping[str, Any]], facts: Mapping[str, Any], alpha: float, letter: str
) -> Fact:
    names = {result["metric"]: result["name"] for result in results}
    known = [row for row in facts["primaries"] if row["p_adjusted"] is not None]
    if not known:
        return Fact("wait", "A primary metric is better", "Too early, or not measured")
    best = min(known, key=lambda row: float(row["p_adjusted"]))
    note = f"p = {best['p_adjusted']:.2g} for {letter} after Holm, valid at any look"
    name = names[best["metric"]]
    if best["p_adjusted"] > alpha:
        return Fact("wait", f"{name}: no difference shown yet", note)
    if best["benefit"] > 0:
        return Fact("ok", f"{name}: better", note)
    return Fact("bad", f"{name}: worse", note)


def _guard_fact(guardrails: Sequence[Mapping[str, Any]], letter: str) -> Fact:
    if not guardrails:
        return Fact("ok", "No guardrail is set", "Nothing to harm was named")
    passing = sum(row["state"] in PASSING for row in guardrails)
    if passing == len(guardrails):
        return Fact("ok", f"Guardrails pass for {letter}", f"All {passing} inside their margins")
    bad = [row for row in guardrails if row["state"] in {"breached", "degraded"}]
    note = f"{passing} of {len(guardrails)} inside their margins"
    return Fact("bad" if bad else "wait", f"Guardrails of {letter}", note)


def _source_fact(snapshot: AnalysisSnapshot) -> Fact:
    count = len(snapshot.inputs["streams"])
    troubled = snapshot.health["quality_streams"]
    if troubled:
        return Fact("bad", "A source stream has an alarm", ", ".join(troubled))
    return Fact("ok", "Source streams have no alarm", f"{count} of {count}")


def _units_fact(facts: Mapping[str, Any], wanted: int) -> Fact:
    found = facts["min_arm_units"] or 0
    return Fact(
        "ok" if found >= wanted else "wait",
        "Enough units",
        f"{words.number(found)} in the smallest arm, {words.number(wanted)} needed",
    )


def _days_fact(experiment: Experiment, facts: Mapping[str, Any], wanted: float) -> Fact:
    day, ready = facts["runtime_days"], ready_at(experiment, wanted)
    if day >= wanted or ready is None:
        return Fact("ok", f"{wanted:g} full days", f"Day {day} of {experiment.planned_days}")
    return Fact(
        "wait", f"{wanted:g} full days", f"Day {day} of {wanted:g}. Ready {words.day(ready)}"
    )


def ready_at(experiment: Experiment, min_days: float) -> datetime | None:
    """When the least running time of the policy has passed."""
    if experiment.started_at is None:
        return None
    return experiment.started_at + timedelta(days=min_days)


def day_table(
    experiment: Experiment, snapshots: Sequence[AnalysisSnapshot], arms: Sequence[Arm], best: str
) -> DayTable | None:
    """The first primary day by day, oldest first; None before two looks show an effect."""
    assert experiment.started_at is not None
    ordered = sorted(arms[1:], key=lambda arm: (arm.key != best, arm.letter))
    lines = []
    for arm in ordered:
        points = []
        for snapshot in snapshots:
            point = _point(experiment.started_at, snapshot, arm.key)
            if point is not None:
                points.append(point)
        lines.append(drawing.DayLine(arm.letter, _LETTERS.index(arm.letter), points))
    if max((len(line.points) for line in lines), default=0) < 2:
        return None
    lines = [line for line in lines if line.points]
    metric = _primary(snapshots[-1].results)["name"]
    newest = "; ".join(
        f"{line.letter} {drawing.percent(line.points[-1].estimate, 1)} %" for line in lines
    )
    label = f"Change in {metric.lower()} by day with an interval valid at every look. {newest}."
    moments = sorted({point.day for line in lines for point in line.points})
    table = [(f"{day:.3g}", [_cell(line, day) for line in lines]) for day in moments]
    return DayTable(
        metric=metric,
        wide=drawing.day_chart(
            lines, planned_days=experiment.planned_days, label=label, width=690, css="wide"
        ),
        narrow=drawing.day_chart(
            lines, planned_days=experiment.planned_days, label=label, width=330, css="narrow"
        ),
        letters=[
            (line.letter, line.colour, next(a.name for a in arms if a.letter == line.letter))
            for line in lines
        ],
        rows=table,
        note=_why_late(_primary(snapshots[-1].results), moments[0], experiment.planned_days),
    )


def _why_late(result: Mapping[str, Any], first: float, planned_days: int) -> str:
    """Why the line begins where it begins, when that is late."""
    if not drawing.first_day(first, planned_days) or not result["window_seconds"]:
        return "the interval narrows as units arrive"
    window = words.duration(result["window_seconds"])
    return f"first read on day {math.ceil(first)}: a unit counts once its {window} have passed"


def _primary(results: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    return next(result for result in results if result["role"] == Role.PRIMARY)


def _point(started_at: datetime, snapshot: AnalysisSnapshot, arm: str) -> drawing.DayPoint | None:
    for row in _primary(snapshot.results)["comparisons"]:
        lift = row["lift"]
        if row["variant"] == arm and lift and lift["status"] == "ok":
            day = (snapshot.watermark - started_at) / timedelta(days=1)
            return drawing.DayPoint(day, lift["estimate"], lift["lower"], lift["upper"])
    return None


def _cell(line: drawing.DayLine, day: float) -> str:
    for point in line.points:
        if point.day == day:
            digits = interval_digits(point.lower, point.upper)
            low, high = (drawing.percent(v, digits) for v in (point.lower, point.upper))
            return f"{drawing.percent(point.estimate, digits)} % ({low} to {high})"
    return "–"
