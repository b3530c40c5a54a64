"""Targeting rules in three-valued logic (Kleene): true, false, or unknown (statistics §1.4).

An absent or null attribute, or one of the wrong type, makes a leaf unknown (None here); a rule
matches only when it is true, so "not in Finland" does not match people of unknown country.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

Truth = bool | None


def targeting(*, rule: Mapping[str, Any], attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Whether a rule matches, and its value as a word: true, false or unknown."""
    value = evaluate(rule, attributes)
    word = "unknown" if value is None else "true" if value else "false"
    return {"match": value is True, "value": word}


def evaluate(rule: Mapping[str, Any], attributes: Mapping[str, Any]) -> Truth:
    """The truth value of a rule; None is unknown."""
    if "all" in rule:
        values = [evaluate(part, attributes) for part in rule["all"]]
        return False if False in values else None if None in values else True
    if "any" in rule:
        values = [evaluate(part, attributes) for part in rule["any"]]
        return True if True in values else None if None in values else False
    if "not" in rule:
        value = evaluate(rule["not"], attributes)
        return None if value is None else not value
    return _leaf(rule, attributes)


def _leaf(rule: Mapping[str, Any], attributes: Mapping[str, Any]) -> Truth:
    found: Any = attributes
    for step in str(rule["attr"]).split("."):
        found = found.get(step) if isinstance(found, Mapping) else None
    if rule["op"] == "exists":
        return found is not None
    if found is None:
        return None
    return _OPERATORS[rule["op"]](found, rule.get("value"))


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else "other"


def _equal(found: Any, wanted: Any) -> Truth:
    if _kind(found) == "other" or _kind(found) != _kind(wanted):
        return None
    return bool(found == wanted)


def _within(found: Any, wanted: Any) -> Truth:
    if _kind(found) == "other" or not isinstance(wanted, list):
        return None
    return any(_kind(item) == _kind(found) and item == found for item in wanted)


def _not(operator: Callable[[Any, Any], Truth]) -> Callable[[Any, Any], Truth]:
    def negated(found: Any, wanted: Any) -> Truth:
        value = operator(found, wanted)
        return None if value is None else not value

    return negated


def _numbers(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], Truth]:
    return lambda f, w: compare(f, w) if _kind(f) == _kind(w) == "number" else None


def _texts(compare: Callable[[str, str], bool]) -> Callable[[Any, Any], Truth]:
    return lambda f, w: compare(f, w) if _kind(f) == _kind(w) == "text" else None


_SEMVER: Final = re.compile(r"(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?")


def _semver(text: Any) -> tuple[Any, ...] | None:
    """A key that sorts versions: pre-releases before their release, numeric parts as numbers."""
    match = _SEMVER.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    core = tuple(int(part) for part in match.group(1, 2, 3))
    if match[4] is None:
        return (*core, 1, ())
    parts = tuple(
        (0, int(part), "") if part.isdigit() else (1, 0, part) for part in match[4].split(".")
    )
    return (*core, 0, parts)


def _versions(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], Truth]:
    def operator(found: Any, wanted: Any) -> Truth:
        left, right = _semver(found), _semver(wanted)
        return None if left is None or right is None else compare(left, right)

    return operator


def _times(compare: Callable[[datetime, datetime], bool]) -> Callable[[Any, Any], Truth]:
    def operator(found: Any, wanted: Any) -> Truth:
        try:
            left, right = datetime.fromisoformat(found), datetime.fromisoformat(wanted)
        except (TypeError, ValueError):
            return None
        if left.tzinfo is None or right.tzinfo is None:
            return None
        return compare(left, right)

    return operator


_OPERATORS: Final[Mapping[str, Callable[[Any, Any], Truth]]] = {
    "eq": _equal,
    "ne": _not(_equal),
    "in": _within,
    "not_in": _not(_within),
    "lt": _numbers(lambda f, w: f < w),
    "lte": _numbers(lambda f, w: f <= w),
    "gt": _numbers(lambda f, w: f > w),
    "gte": _numbers(lambda f, w: f >= w),
    "contains": _texts(lambda f, w: w in f),
    "starts_with": _texts(str.startswith),
    "ends_with": _texts(str.endswith),
    "semver_eq": _versions(lambda f, w: f == w),
    "semver_lt": _versions(lambda f, w: f < w),
    "semver_gte": _versions(lambda f, w: f >= w),
    "before": _times(lambda f, w: f < w),
    "after": _times(lambda f, w: f > w),
}
