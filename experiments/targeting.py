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


def check_rule(rule: object) -> None:
    """Raise ValueError with a sentence when a document is no rule this module can evaluate."""
    if not isinstance(rule, Mapping):
        raise ValueError("a rule is an object")
    if "all" in rule or "any" in rule:
        parts = rule.get("all", rule.get("any"))
        if not isinstance(parts, list):
            raise ValueError("all and any hold a list of rules")
        for part in parts:
            check_rule(part)
    elif "not" in rule:
        check_rule(rule["not"])
    elif not isinstance(rule.get("attr"), str) or rule.get("op") not in {*_OPERATORS, "exists"}:
        raise ValueError("a leaf names an attribute and a known operator")


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


_SEMVER: Final = re.compile(
    r"([0-9]+)\.([0-9]+)\.([0-9]+)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?"
)


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


_INSTANT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.([0-9]+))?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


def _instant(text: Any) -> datetime | None:
    """An RFC 3339 text with offset as a moment; fractions beyond microseconds are cut."""
    match = _INSTANT.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    fraction = (match[1] or "")[:6]
    offset = "+00:00" if match[2] in {"Z", "z"} else match[2]
    try:
        return datetime.fromisoformat(f"{text[:10]}T{text[11:19]}.{fraction:0<6}{offset}")
    except ValueError:
        return None


def _times(compare: Callable[[datetime, datetime], bool]) -> Callable[[Any, Any], Truth]:
    def operator(found: Any, wanted: Any) -> Truth:
        left, right = _instant(found), _instant(wanted)
        return None if left is None or right is None else compare(left, right)

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
